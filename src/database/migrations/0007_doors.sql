-- Doors: gateways and collectors that cannot sign by the Standard Webhooks scheme, and what their events lack.

-- Whether requests of a source that has a signing secret may come unsigned through the doors of gateways. `/v1/usage`
-- stays signed whatever this says.
ALTER TABLE sources ADD COLUMN unsigned_doors boolean NOT NULL DEFAULT false;

-- What the way of an event left out or made up (src/doors/door.ts), shown in its trail. Null for most events.
ALTER TABLE usage_events ADD COLUMN marks text[];

CREATE OR REPLACE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.period_id IS NULL AND NEW.period_id IS NOT NULL
     AND (OLD.customer_id, OLD.event_id, OLD.payload_hash, OLD.occurred_at, OLD.received_at, OLD.model_id)
       = (NEW.customer_id, NEW.event_id, NEW.payload_hash, NEW.occurred_at, NEW.received_at, NEW.model_id)
     AND (OLD.source_id, OLD.provider, OLD.provider_hint, OLD.usage, OLD.held_reason, OLD.feature,
          OLD.subscription_item_id, OLD.action_id, OLD.region, OLD.service_tier, OLD.dimensions, OLD.marks)
       IS NOT DISTINCT FROM
         (NEW.source_id, NEW.provider, NEW.provider_hint, NEW.usage, NEW.held_reason, NEW.feature,
          NEW.subscription_item_id, NEW.action_id, NEW.region, NEW.service_tier, NEW.dimensions, NEW.marks)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'usage_events rows are immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- Meter events name their customer by its Stripe id.
CREATE INDEX customers_stripe ON customers (stripe_customer_id) WHERE stripe_customer_id IS NOT NULL;
