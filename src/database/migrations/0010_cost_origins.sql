-- What an event says of its own cost, and the events of one action.

-- Null: we paid for the call. Billions of events are paid by us, and a null takes no room in a row.
ALTER TABLE usage_events ADD COLUMN paid_by text CHECK (paid_by = 'customer');
-- What the provider or gateway says the call cost, an exact decimal.
ALTER TABLE usage_events ADD COLUMN reported_cost text COLLATE "C" CHECK (reported_cost ~ '^\d{1,15}(\.\d{1,24})?$');
ALTER TABLE usage_events ADD COLUMN reported_currency text COLLATE "C" CHECK (reported_currency ~ '^[a-z]{3}$');
ALTER TABLE usage_events ADD CHECK ((reported_cost IS NULL) = (reported_currency IS NULL));

CREATE INDEX usage_events_action ON usage_events (customer_id, action_id) WHERE action_id IS NOT NULL;

-- An event never changes, but for the one step from "no period" to its period (placing). All other columns, those of
-- later migrations included, stay as they are.
CREATE OR REPLACE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.period_id IS NULL AND NEW.period_id IS NOT NULL
     AND to_jsonb(OLD) - ARRAY['period_id', 'late', 'chunk'] = to_jsonb(NEW) - ARRAY['period_id', 'late', 'chunk']
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'usage_events rows are immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
