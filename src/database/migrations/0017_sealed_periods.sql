-- What a seal says of its period's span holds for good, and usage without a period is found by its time.

-- A sealed period keeps its name, its span and the moment of its seal: its invoices are worded and prorated by them, and
-- usage that comes afterwards is late.
CREATE FUNCTION keep_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'period % is sealed: its span does not change', OLD.period_id
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER periods_sealed BEFORE UPDATE ON periods FOR EACH ROW
  WHEN (OLD.sealed_at IS NOT NULL AND
        (OLD.sealed_at, OLD.customer_id, OLD.start_date, OLD.starts_at, OLD.ends_at, OLD.calendar_from, OLD.calendar_to)
        IS DISTINCT FROM
        (NEW.sealed_at, NEW.customer_id, NEW.start_date, NEW.starts_at, NEW.ends_at, NEW.calendar_from, NEW.calendar_to))
  EXECUTE FUNCTION keep_sealed();

-- A customer whose billing has ended may go on sending: whether any of it can be placed is asked at every sweep.
DROP INDEX usage_events_unplaced;
CREATE INDEX usage_events_unplaced ON usage_events (customer_id, occurred_at) WHERE period_id IS NULL;
