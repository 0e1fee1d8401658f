-- What a person decided about usage that waits: pricing takes it as part of its inputs.

-- One row for each period that a decision touches; immutable, like everything that an invoice is a function of.
CREATE TABLE held_decisions (
  decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Usage received until then; what comes later is not what the person saw.
  decided_at  timestamptz NOT NULL DEFAULT now(),
  decided_by  text NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  -- Null: usage that no period takes yet.
  period_id   bigint REFERENCES periods,
  -- The set: every condition that is there must hold.
  reason      text,
  provider    text COLLATE "C",
  model_id    text COLLATE "C",
  event_ids   text[],
  -- What is done with it: {"bill": {"prices": {...}}} or {"write_off": true}.
  decision    jsonb NOT NULL,
  note        text NOT NULL
);
CREATE INDEX held_decisions_period ON held_decisions (period_id) WHERE period_id IS NOT NULL;
CREATE INDEX held_decisions_unplaced ON held_decisions (customer_id) WHERE period_id IS NULL;
CREATE TRIGGER held_decisions_immutable BEFORE UPDATE OR DELETE ON held_decisions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER held_decisions_no_truncate BEFORE TRUNCATE ON held_decisions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The decisions that the head's results were made with.
ALTER TABLE period_totals ADD COLUMN decisions bigint[] NOT NULL DEFAULT '{}';
-- Which periods have something that waits: most have not.
CREATE INDEX period_totals_held ON period_totals (period_id) WHERE held_events > 0;

-- A period whose plan waits for held usage: closed without it from then on.
ALTER TABLE periods ADD COLUMN held_until timestamptz;
-- A person let a period close without its held usage, where the plan stops for one.
ALTER TABLE periods ADD COLUMN held_accepted boolean NOT NULL DEFAULT false;
