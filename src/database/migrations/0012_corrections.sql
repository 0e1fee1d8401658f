-- After the seal: where late usage is billed, usage that was wrong, and the way from one revision to the next.

-- Usage that finance took back. `void_id` grows in the order of commits for each customer (the billing lock), so that "up
-- to this one" names a set that never changes: pricing inputs carry it.
CREATE TABLE usage_voids (
  void_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id text COLLATE "C" NOT NULL,
  event_id    text COLLATE "C" NOT NULL,
  voided_at   timestamptz NOT NULL DEFAULT now(),
  voided_by   text NOT NULL,
  reason      text NOT NULL,
  UNIQUE (customer_id, event_id)
);
CREATE INDEX usage_voids_customer ON usage_voids (customer_id, void_id);

-- The one period that bills an event which its own period's first seal did not: another one that carries it, or its own
-- by a re-bill. Decided once (the primary key), for ever. `decision_id` grows in the order of commits for each customer.
CREATE TABLE late_billings (
  customer_id text COLLATE "C" NOT NULL,
  event_id    text COLLATE "C" NOT NULL,
  decision_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  -- The period in which it happened.
  period_id   bigint NOT NULL REFERENCES periods,
  billed_in   bigint NOT NULL REFERENCES periods,
  revision    integer NOT NULL,
  decided_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, event_id)
);
CREATE INDEX late_billings_period ON late_billings (period_id, decision_id);
CREATE INDEX late_billings_billed_in ON late_billings (billed_in, period_id);

-- Late usage that a person lets into the open period, where the plan holds it.
CREATE TABLE late_releases (
  customer_id text COLLATE "C" NOT NULL,
  event_id    text COLLATE "C" NOT NULL,
  period_id   bigint NOT NULL REFERENCES periods,
  released_at timestamptz NOT NULL DEFAULT now(),
  released_by text NOT NULL,
  reason      text NOT NULL,
  PRIMARY KEY (customer_id, event_id)
);
CREATE INDEX late_releases_period ON late_releases (period_id);

-- Late usage is rare; it is looked for at every seal and shown on every period.
CREATE INDEX usage_events_late ON usage_events (period_id, event_id) WHERE late;

-- The voids that the head's results leave out.
ALTER TABLE period_totals ADD COLUMN voided_to bigint NOT NULL DEFAULT 0;

-- The way from the invoices of earlier revisions to this one. Written once in three steps: begun with the seal, settled
-- when every earlier invoice at Stripe had come to an end (paid, void or deleted), completed when the books were right.
CREATE TABLE invoice_corrections (
  period_id        bigint NOT NULL,
  revision         integer NOT NULL CHECK (revision > 1),
  -- Where the money of a credit note goes.
  refund           text NOT NULL CHECK (refund IN ('balance', 'refund')),
  reason           text NOT NULL,
  requested_by     text NOT NULL,
  attempt          integer NOT NULL DEFAULT 0,
  begun_at         timestamptz NOT NULL DEFAULT now(),
  settled_at       timestamptz,
  -- What paid invoices minus their credit notes came to then, and what this revision asks for beyond it (minor units).
  live_minor       bigint,
  difference_minor bigint,
  -- The invoice that this revision needs: all of it, the difference, or none.
  invoice          text CHECK (invoice IN ('whole', 'supplement', 'none')),
  -- [{"description", "amount_minor"}] of a supplement, and the SHA-256 that names it at Stripe.
  lines            jsonb,
  lines_hash       text COLLATE "C",
  completed_at     timestamptz,
  PRIMARY KEY (period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES seals,
  CHECK ((settled_at IS NULL) = (live_minor IS NULL) AND (settled_at IS NULL) = (invoice IS NULL)),
  CHECK (completed_at IS NULL OR settled_at IS NOT NULL)
);
CREATE FUNCTION keep_settled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.completed_at IS NOT NULL OR (OLD.settled_at IS NOT NULL AND
     (OLD.refund, OLD.settled_at, OLD.live_minor, OLD.difference_minor, OLD.invoice, OLD.lines, OLD.lines_hash)
       IS DISTINCT FROM
     (NEW.refund, NEW.settled_at, NEW.live_minor, NEW.difference_minor, NEW.invoice, NEW.lines, NEW.lines_hash))
  THEN
    RAISE EXCEPTION 'what a correction settled is immutable' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER invoice_corrections_settled_once BEFORE UPDATE ON invoice_corrections
  FOR EACH ROW EXECUTE FUNCTION keep_settled();

-- What a correction did to the invoices of earlier revisions, in order.
CREATE TABLE invoice_correction_steps (
  step_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id         bigint NOT NULL,
  revision          integer NOT NULL,
  stripe_invoice_id text COLLATE "C" NOT NULL,
  -- What was found to be so: its end at Stripe.
  ended             text NOT NULL CHECK (ended IN ('paid', 'void', 'deleted')),
  at                timestamptz NOT NULL DEFAULT now(),
  UNIQUE (period_id, revision, stripe_invoice_id),
  FOREIGN KEY (period_id, revision) REFERENCES invoice_corrections
);

-- Credit notes that a correction needs, planned in the transaction that settles it.
CREATE TABLE invoice_credit_notes (
  period_id             bigint NOT NULL,
  revision              integer NOT NULL,
  stripe_invoice_id     text COLLATE "C" NOT NULL,
  amount_minor          bigint NOT NULL CHECK (amount_minor > 0),
  -- The part that goes back to where it was paid from; the rest goes to the customer's balance.
  refund_minor          bigint NOT NULL CHECK (refund_minor BETWEEN 0 AND amount_minor),
  -- Grows when Stripe has answered with a failure under the key of this generation; the key is committed before it is used.
  generation            integer NOT NULL DEFAULT 0,
  tried_at              timestamptz,
  stripe_credit_note_id text COLLATE "C" UNIQUE,
  issued_at             timestamptz,
  PRIMARY KEY (period_id, revision, stripe_invoice_id),
  FOREIGN KEY (period_id, revision) REFERENCES invoice_corrections
);

DO $$
DECLARE immutable text;
BEGIN
  FOREACH immutable IN ARRAY ARRAY['usage_voids', 'late_billings', 'late_releases', 'invoice_correction_steps']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()',
      immutable || '_immutable', immutable);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
      immutable || '_no_truncate', immutable);
  END LOOP;
END $$;
