-- What Stripe made of our invoices, also where no webhook told it; what a person did there that our books do not know.

ALTER TABLE invoice_submissions
  -- What issued credit notes take off the invoice, without tax (minor units).
  ADD COLUMN stripe_credited bigint NOT NULL DEFAULT 0,
  -- What the finalized invoice moved to the customer's balance at Stripe (minor units): owed later where it is too small to
  -- be charged, paid from credit, or negative where the customer is owed. Null before it is finalized.
  ADD COLUMN stripe_to_balance bigint,
  -- When Stripe was last asked.
  ADD COLUMN refreshed_at timestamptz;

-- Whom polling looks at: elected invoices that can still change by themselves.
CREATE INDEX invoice_submissions_poll ON invoice_submissions (refreshed_at NULLS FIRST)
  WHERE elected_invoice_id IS NOT NULL AND coalesce(stripe_status, 'draft') IN ('draft', 'open', 'uncollectible');

-- Something at Stripe needs a person. Raised and resolved by what is there now; at most one of a kind stands for an object.
CREATE TABLE stripe_alerts (
  alert_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind             text NOT NULL CHECK (kind IN ('books_differ', 'not_as_composed', 'finalization_failed',
                     'issued_by_hand', 'customer_deleted')),
  -- The invoice or customer at Stripe; of `books_differ` our period's id.
  object_id        text COLLATE "C" NOT NULL,
  customer_id      text COLLATE "C" NOT NULL REFERENCES customers,
  period_id        bigint REFERENCES periods,
  detail           text NOT NULL,
  raised_at        timestamptz NOT NULL DEFAULT now(),
  resolved_at      timestamptz
);
CREATE UNIQUE INDEX stripe_alerts_standing ON stripe_alerts (kind, object_id, customer_id) WHERE resolved_at IS NULL;
CREATE INDEX stripe_alerts_period ON stripe_alerts (period_id);

-- Deliveries are forgotten some time after Stripe could still repeat them.
CREATE INDEX stripe_webhook_events_received ON stripe_webhook_events (received_at);
