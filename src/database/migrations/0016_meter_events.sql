-- Usage that goes to Stripe as meter events instead of an invoice.

-- Each is a difference: what the ledger had come to when it was made, minus what was made before. Written before it is sent
-- and never changed after; their sum is what the ledger came to.
CREATE TABLE stripe_meter_events (
  period_id          bigint NOT NULL REFERENCES periods,
  -- RFC 8785 text of the dimensions, {} where there are none.
  series             text COLLATE "C" NOT NULL,
  sequence           integer NOT NULL CHECK (sequence > 0),
  event_name         text NOT NULL,
  stripe_customer_id text COLLATE "C" NOT NULL,
  -- Ours for ever, from what it stands for; Stripe takes one identifier once within a day.
  identifier         text COLLATE "C" NOT NULL UNIQUE CHECK (length(identifier) <= 100),
  value              numeric NOT NULL CHECK (value <> 0),
  -- The time that Stripe counts it under.
  counted_as_of      timestamptz NOT NULL,
  -- `unsendable`: refused by Stripe, or older than Stripe takes. `uncertain`: no answer came for so long that Stripe has
  -- forgotten the identifier; a person compares.
  status             text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'unsendable', 'uncertain')),
  reason             text,
  made_at            timestamptz NOT NULL DEFAULT now(),
  -- Committed before the first call.
  tried_at           timestamptz,
  sent_at            timestamptz,
  PRIMARY KEY (period_id, series, sequence)
);
CREATE INDEX stripe_meter_events_pending ON stripe_meter_events (period_id) WHERE status = 'pending';

-- Where a period stands: when it was last looked at, and what Stripe says that it counted.
CREATE TABLE stripe_meter_periods (
  period_id    bigint PRIMARY KEY REFERENCES periods,
  event_name   text NOT NULL,
  looked_at    timestamptz NOT NULL DEFAULT now(),
  counted      numeric,
  counted_at   timestamptz,
  -- Billed, all sent, and counted as sent; null again when something is added.
  completed_at timestamptz
);
