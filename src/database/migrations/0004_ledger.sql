-- Usage events, the commits that brought them, and what pricing made of them.

-- One narrow row per event, kept for good: (customer_id, event_id) is unique for ever (invariant 1), which forbids
-- dropping by time. Hash of both columns: one huge customer spreads over all partitions.
CREATE TABLE usage_events (
  customer_id          text COLLATE "C" NOT NULL,
  event_id             text COLLATE "C" NOT NULL,
  -- SHA-256 of the event as received, without its signature, in RFC 8785 form.
  payload_hash         bytea NOT NULL,
  -- Null: held, no period takes it yet (unknown customer, outside the customer's billing). Set once.
  period_id            bigint,
  -- Arrived (or was placed) after the period's seal.
  late                 boolean NOT NULL DEFAULT false,
  -- The transaction that appended (or placed) the event; the horizon is compared with it.
  chunk                xid8 NOT NULL,
  -- Milliseconds are kept: boundaries of prices and periods are whole milliseconds.
  occurred_at          timestamptz(3) NOT NULL,
  received_at          timestamptz NOT NULL,
  source_id            text COLLATE "C",
  provider             text COLLATE "C",
  -- The provider to take when the event names none: the source's default, else the owner of the usage format.
  provider_hint        text COLLATE "C",
  model_id             text COLLATE "C" NOT NULL,
  -- Additive meters, {"input_tokens": 1200}; null when the counts are impossible.
  usage                jsonb,
  -- Why the event cannot be priced whatever the catalog says (impossible counts).
  held_reason          text,
  feature              text COLLATE "C",
  subscription_item_id text COLLATE "C",
  action_id            text COLLATE "C",
  region               text COLLATE "C",
  service_tier         text COLLATE "C",
  dimensions           jsonb,
  PRIMARY KEY (customer_id, event_id)
) PARTITION BY HASH (customer_id, event_id);

DO $$
BEGIN
  FOR i IN 0..7 LOOP
    EXECUTE format('CREATE TABLE usage_events_%s PARTITION OF usage_events FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
  END LOOP;
END $$;
CREATE INDEX usage_events_period ON usage_events (period_id, chunk) WHERE period_id IS NOT NULL;
CREATE INDEX usage_events_unplaced ON usage_events (customer_id) WHERE period_id IS NULL;

-- An event never changes, but for the one step from "no period" to its period (placing).
CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.period_id IS NULL AND NEW.period_id IS NOT NULL
     AND (OLD.customer_id, OLD.event_id, OLD.payload_hash, OLD.occurred_at, OLD.received_at, OLD.model_id)
       = (NEW.customer_id, NEW.event_id, NEW.payload_hash, NEW.occurred_at, NEW.received_at, NEW.model_id)
     AND (OLD.source_id, OLD.provider, OLD.provider_hint, OLD.usage, OLD.held_reason, OLD.feature,
          OLD.subscription_item_id, OLD.action_id, OLD.region, OLD.service_tier, OLD.dimensions)
       IS NOT DISTINCT FROM
         (NEW.source_id, NEW.provider, NEW.provider_hint, NEW.usage, NEW.held_reason, NEW.feature,
          NEW.subscription_item_id, NEW.action_id, NEW.region, NEW.service_tier, NEW.dimensions)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'usage_events rows are immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER usage_events_immutable BEFORE UPDATE OR DELETE ON usage_events
  FOR EACH ROW EXECUTE FUNCTION refuse_event_change();

-- The event as received, beside the narrow row: read for the trail and for proofs, not for pricing. By month of
-- receipt, so that old months can be moved to cheaper storage as whole partitions.
CREATE TABLE usage_payloads (
  received_at        timestamptz NOT NULL,
  customer_id        text COLLATE "C" NOT NULL,
  event_id           text COLLATE "C" NOT NULL,
  -- RFC 8785 form of the event without its signature; its SHA-256 is usage_events.payload_hash.
  payload            text NOT NULL,
  -- The event's own signature, as sent, after it was verified.
  signature          text,
  -- Subset counts kept for information, never charged (reasoning tokens and the like).
  info               jsonb,
  request_id         text,
  PRIMARY KEY (customer_id, event_id, received_at)
) PARTITION BY RANGE (received_at);
CREATE TABLE usage_payloads_other PARTITION OF usage_payloads DEFAULT;
CREATE TRIGGER usage_payloads_immutable BEFORE UPDATE OR DELETE ON usage_payloads
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One row per append commit. Rows go when every period they touch is priced beyond them.
CREATE TABLE usage_chunks (
  chunk      xid8 PRIMARY KEY,
  period_ids bigint[] NOT NULL,
  events     integer NOT NULL,
  at         timestamptz NOT NULL DEFAULT now()
);

-- The sums that pricing made of a period's events with from_xid <= chunk < to_xid, at exactly these inputs.
-- `result` is the document of src/pricing (groups and held events).
CREATE TABLE pricing_runs (
  pricing_run_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id       bigint NOT NULL REFERENCES periods,
  inputs_hash     text COLLATE "C" NOT NULL,
  from_xid        xid8 NOT NULL,
  to_xid          xid8 NOT NULL CHECK (to_xid > from_xid),
  catalog_version integer NOT NULL REFERENCES catalog_versions,
  events          bigint NOT NULL CHECK (events >= 0),
  result          jsonb NOT NULL,
  priced_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (period_id, inputs_hash, from_xid)
);

-- Where pricing of a period stands: the head of its runs and their sums. Written once per pricing run, never by appends.
CREATE TABLE period_totals (
  period_id       bigint PRIMARY KEY REFERENCES periods,
  priced_to       xid8 NOT NULL,
  inputs_hash     text COLLATE "C" NOT NULL,
  catalog_version integer NOT NULL,
  events          bigint NOT NULL,
  held_events     bigint NOT NULL,
  -- Exact decimal strings (18 places where the expansion does not end), in `currency`.
  cost            text NOT NULL,
  charge          text NOT NULL,
  currency        text NOT NULL,
  priced_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE budget_alerts (
  period_id  bigint NOT NULL REFERENCES periods,
  budget_id  text COLLATE "C" NOT NULL,
  threshold  text NOT NULL,
  measure    text NOT NULL CHECK (measure IN ('cost', 'charge')),
  spent      text NOT NULL,
  limit_amount text NOT NULL,
  currency   text NOT NULL,
  raised_at  timestamptz NOT NULL DEFAULT now(),
  sent_at    timestamptz,
  PRIMARY KEY (period_id, budget_id, threshold)
);
