-- Lines of a period on the invoice of the customer's Stripe subscription, instead of an invoice of their own.

ALTER TABLE customers
  ADD COLUMN stripe_subscription_id text COLLATE "C" CHECK (stripe_subscription_id ~ '^sub_[A-Za-z0-9_]{1,64}$');

-- The way of one revision's lines to Stripe. As with invoice_submissions every write compares `attempt`, so that an attempt
-- that was overtaken can no longer write.
CREATE TABLE subscription_submissions (
  period_id          bigint NOT NULL,
  revision           integer NOT NULL,
  invoice_key        text COLLATE "C" NOT NULL UNIQUE,
  content_hash       text COLLATE "C" NOT NULL,
  started_at         timestamptz NOT NULL DEFAULT now(),
  attempt            integer NOT NULL DEFAULT 0,
  failed_generations integer NOT NULL DEFAULT 0,
  -- Every line was read at Stripe exactly once; from then on nothing adds lines.
  confirmed_at       timestamptz,
  -- When Stripe was last asked about the lines.
  refreshed_at       timestamptz,
  swept_at           timestamptz,
  PRIMARY KEY (period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES invoices
);
CREATE FUNCTION keep_placed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the lines of % are placed', OLD.invoice_key USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER subscription_submissions_confirmed_once BEFORE UPDATE ON subscription_submissions FOR EACH ROW
  WHEN (OLD.confirmed_at IS NOT NULL AND
        (OLD.confirmed_at, OLD.attempt, OLD.content_hash) IS DISTINCT FROM
        (NEW.confirmed_at, NEW.attempt, NEW.content_hash))
  EXECUTE FUNCTION keep_placed();

-- What all requests of one generation say: pinned before the first of them goes out, so that the same idempotency key never
-- has two bodies. The key of a line comes from the invoice's key, the generation and the line.
CREATE TABLE subscription_generations (
  period_id              bigint NOT NULL,
  revision               integer NOT NULL,
  generation             integer NOT NULL CHECK (generation > 0),
  stripe_customer_id     text COLLATE "C" NOT NULL,
  stripe_subscription_id text COLLATE "C" NOT NULL,
  -- A draft of the subscription's renewal; null: items that wait for its next invoice.
  target_invoice_id      text COLLATE "C",
  -- Its keys are used for some minutes from here on, and never again.
  begun_at               timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (period_id, revision, generation),
  FOREIGN KEY (period_id, revision) REFERENCES subscription_submissions
);
CREATE FUNCTION keep_pinned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what a generation pinned is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER subscription_generations_pinned BEFORE UPDATE ON subscription_generations FOR EACH ROW
  WHEN ((OLD.stripe_customer_id, OLD.stripe_subscription_id, OLD.target_invoice_id) IS DISTINCT FROM
        (NEW.stripe_customer_id, NEW.stripe_subscription_id, NEW.target_invoice_id))
  EXECUTE FUNCTION keep_pinned();

-- Invoices of subscriptions that lines of ours stand on, as they were last read.
CREATE TABLE subscription_invoices (
  stripe_invoice_id  text COLLATE "C" PRIMARY KEY,
  stripe_status      text NOT NULL,
  stripe_number      text,
  hosted_invoice_url text,
  -- Null while it is a draft.
  payment_status     text,
  refreshed_at       timestamptz NOT NULL DEFAULT now()
);

-- Lines at Stripe: invoice items.
CREATE TABLE subscription_items (
  stripe_item_id         text COLLATE "C" PRIMARY KEY,
  period_id              bigint NOT NULL,
  revision               integer NOT NULL,
  line_number            integer NOT NULL CHECK (line_number > 0),
  -- What it was made with, and what was last read (minor units).
  amount_minor           bigint NOT NULL,
  seen_minor             bigint NOT NULL,
  stripe_customer_id     text COLLATE "C" NOT NULL,
  stripe_subscription_id text COLLATE "C",
  -- Null while it waits for an invoice.
  stripe_invoice_id      text COLLATE "C" REFERENCES subscription_invoices,
  -- A second one of its line, which nobody meant: it is swept, or alerted about where it was issued.
  stray                  boolean NOT NULL DEFAULT false,
  -- Taken back by us, because a later revision stands instead.
  removed_at             timestamptz,
  -- Deleted at Stripe by somebody else.
  gone_at                timestamptz,
  FOREIGN KEY (period_id, revision) REFERENCES subscription_submissions
);
-- Each line of a revision stands at Stripe once.
CREATE UNIQUE INDEX subscription_items_line ON subscription_items (period_id, revision, line_number)
  WHERE removed_at IS NULL AND NOT stray;
CREATE INDEX subscription_items_period ON subscription_items (period_id);
CREATE INDEX subscription_items_invoice ON subscription_items (stripe_invoice_id);
-- Whom a webhook about an invoice, or about a subscription, may concern: lines that wait for one.
CREATE INDEX subscription_items_waiting ON subscription_items (stripe_customer_id)
  WHERE removed_at IS NULL AND gone_at IS NULL;
CREATE INDEX subscription_items_subscription ON subscription_items (stripe_subscription_id)
  WHERE removed_at IS NULL AND gone_at IS NULL;

-- Lines wait for an invoice of a subscription that has ended.
ALTER TABLE stripe_alerts DROP CONSTRAINT stripe_alerts_kind_check;
ALTER TABLE stripe_alerts ADD CONSTRAINT stripe_alerts_kind_check
  CHECK (kind IN ('books_differ', 'not_as_composed', 'finalization_failed', 'issued_by_hand', 'customer_deleted',
                  'subscription_ended'));
