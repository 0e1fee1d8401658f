-- Prices by service tier, region and price book; what they are multiplied by; successors of models.

-- The slot of a price row has these in it: a row applies to events of exactly the values that it names.
ALTER TABLE catalog_prices
  ADD COLUMN service_tier text COLLATE "C",
  ADD COLUMN region       text COLLATE "C",
  ADD COLUMN book         text COLLATE "C";

ALTER TABLE catalog_models ADD COLUMN successor text COLLATE "C";

-- What the prices of a provider, or of one of its models, are multiplied by. `multiplier` null withdraws the slot, which
-- is (provider, model_id, and the one condition).
CREATE TABLE catalog_multipliers (
  multiplier_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version        integer NOT NULL REFERENCES catalog_versions,
  ordinal        integer NOT NULL,
  provider       text COLLATE "C" NOT NULL,
  model_id       text COLLATE "C",
  service_tier   text COLLATE "C",
  region         text COLLATE "C",
  book           text COLLATE "C",
  meters         text[] COLLATE "C",
  multiplier     text COLLATE "C" CHECK (multiplier ~ '^\d{1,3}(\.\d{1,6})?$'),
  effective_from timestamptz NOT NULL,
  effective_to   timestamptz CHECK (effective_to > effective_from),
  supersede      boolean NOT NULL DEFAULT false,
  UNIQUE (version, ordinal),
  CHECK (num_nonnulls(service_tier, region, book) <= 1)
);

-- Which price book prices the usage of a source, from an instant on; null: none does.
CREATE TABLE catalog_source_books (
  version        integer NOT NULL REFERENCES catalog_versions,
  source_id      text COLLATE "C" NOT NULL,
  book           text COLLATE "C",
  effective_from timestamptz NOT NULL,
  PRIMARY KEY (version, source_id, effective_from)
);

CREATE TRIGGER catalog_multipliers_immutable BEFORE UPDATE OR DELETE ON catalog_multipliers
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_source_books_immutable BEFORE UPDATE OR DELETE ON catalog_source_books
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- Row triggers do not see TRUNCATE.
CREATE TRIGGER catalog_multipliers_no_truncate BEFORE TRUNCATE ON catalog_multipliers
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_source_books_no_truncate BEFORE TRUNCATE ON catalog_source_books
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
