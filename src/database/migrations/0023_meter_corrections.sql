-- Meter events that are taken back, or that Stripe refused after it had taken them; what came after the close.

-- `cancelling`: to be taken back by an adjustment; `cancelled`: taken back, or never sent. Neither counts any more.
-- `rejected`: Stripe told later that it does not count it.
ALTER TABLE stripe_meter_events DROP CONSTRAINT stripe_meter_events_status_check;
ALTER TABLE stripe_meter_events
  ADD CONSTRAINT stripe_meter_events_status_check CHECK (status IN
    ('pending', 'sent', 'unsendable', 'uncertain', 'rejected', 'cancelling', 'cancelled')),
  -- Committed before the first call that takes it back.
  ADD COLUMN cancel_tried_at timestamptz,
  -- Stripe does not take it back any more: what is too much is taken off by an event of its own.
  ADD COLUMN cancel_refused_at timestamptz,
  ADD COLUMN cancelled_at timestamptz,
  ADD CONSTRAINT stripe_meter_events_cancelled_check CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
  ADD CONSTRAINT stripe_meter_events_cancelling_check CHECK (status <> 'cancelling' OR cancel_refused_at IS NULL);
DROP INDEX stripe_meter_events_pending;
CREATE INDEX stripe_meter_events_pending ON stripe_meter_events (period_id) WHERE status IN ('pending', 'cancelling');

-- What the period had come to when it was billed first: Stripe's invoice for it may be issued soon after.
ALTER TABLE stripe_meter_periods
  ADD COLUMN billed_at timestamptz,
  ADD COLUMN billed_value numeric,
  ADD CONSTRAINT stripe_meter_periods_billed_check CHECK ((billed_at IS NULL) = (billed_value IS NULL));

ALTER TABLE stripe_alerts DROP CONSTRAINT stripe_alerts_kind_check;
ALTER TABLE stripe_alerts ADD CONSTRAINT stripe_alerts_kind_check
  CHECK (kind IN ('books_differ', 'not_as_composed', 'finalization_failed', 'issued_by_hand', 'customer_deleted',
                  'subscription_ended', 'meter_count_differs', 'meter_events_rejected'));
