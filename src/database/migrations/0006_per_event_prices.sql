-- A fee for each call: every event of the model counts as one unit of the row's meter, unless it carries the meter.
ALTER TABLE catalog_prices ADD COLUMN per_event boolean NOT NULL DEFAULT false;
