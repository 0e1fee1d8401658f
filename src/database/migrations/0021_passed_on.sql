-- What periods pass on to each other while they are billed again and late usage of them is carried, and periods that wait
-- for an earlier one.

-- What is left of a period's allowances once an invoice is composed that changes it: the period's own, or another one that
-- carries late usage of it. Of a period's entries the newest one counts.
CREATE TABLE rollover_entries (
  entry_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id   bigint NOT NULL REFERENCES periods,
  by_period   bigint NOT NULL,
  by_revision integer NOT NULL,
  -- [{"plan_id", "key", "amount"}] (src/contracts/balances.ts).
  rollover    jsonb NOT NULL,
  -- What the other invoice took of the allowances: [{"plan_id", "version", "key", "used"}]; empty for the period's own.
  taken       jsonb NOT NULL DEFAULT '[]',
  at          timestamptz NOT NULL DEFAULT now(),
  UNIQUE (by_period, by_revision, period_id),
  CHECK (period_id <> by_period OR taken = '[]'),
  FOREIGN KEY (by_period, by_revision) REFERENCES invoices
);
CREATE INDEX rollover_entries_period ON rollover_entries (period_id, entry_id DESC);
CREATE TRIGGER rollover_entries_immutable BEFORE UPDATE OR DELETE ON rollover_entries
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rollover_entries_no_truncate BEFORE TRUNCATE ON rollover_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The earlier period that a closing one waits for, and why it was closing.
ALTER TABLE periods
  ADD COLUMN waits_for date,
  ADD COLUMN close_reason text,
  ADD CONSTRAINT periods_waits_closing CHECK (waits_for IS NULL OR (status = 'closing' AND waits_for <> start_date));
CREATE INDEX periods_waiting ON periods (customer_id, waits_for) WHERE waits_for IS NOT NULL;

-- How what a sealed period opened with differs from what it would be by now: a list, null where it does not.
ALTER TABLE periods ADD COLUMN opening_changes jsonb CHECK (jsonb_typeof(opening_changes) = 'array');
