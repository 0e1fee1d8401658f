-- What invoices take over from outside of usage and plans: exchange rates, adjustments, prepaid credits, and what one
-- period leaves to the next.

-- One unit of `from_currency` is `rate` units of `to_currency` from an instant on. Of two for one instant the later row
-- (`rate_id`) holds; nothing is ever changed, so that a seal can name what it took.
CREATE TABLE exchange_rates (
  rate_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  from_currency  text COLLATE "C" NOT NULL CHECK (from_currency ~ '^[a-z]{3}$'),
  to_currency    text COLLATE "C" NOT NULL CHECK (to_currency ~ '^[a-z]{3}$'),
  rate           text COLLATE "C" NOT NULL CHECK (rate ~ '^\d{1,15}(\.\d{1,24})?$' AND rate ~ '[1-9]'),
  effective_from timestamptz NOT NULL,
  source         text NOT NULL,
  published_by   text NOT NULL,
  published_at   timestamptz NOT NULL DEFAULT now(),
  CHECK (from_currency <> to_currency)
);
CREATE INDEX exchange_rates_in_force ON exchange_rates (to_currency, from_currency, effective_from DESC, rate_id DESC);

-- One-off amounts on the invoice of an unsealed period; its seal takes all that are there.
CREATE TABLE adjustments (
  adjustment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period_id     bigint NOT NULL REFERENCES periods,
  request_id    text COLLATE "C" NOT NULL UNIQUE,
  kind          text NOT NULL CHECK (kind IN ('adjustment', 'goodwill')),
  -- In the customer's currency; negative: a credit.
  amount        text COLLATE "C" NOT NULL CHECK (amount ~ '^-?\d{1,15}(\.\d{1,24})?$'),
  currency      text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
  description   text NOT NULL,
  reason        text NOT NULL,
  created_by    text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  CHECK (kind = 'adjustment' OR amount ~ '^-')
);
CREATE INDEX adjustments_period ON adjustments (period_id);

-- Prepaid credits. What is left of a grant is its amount less its entries.
CREATE TABLE credit_grants (
  grant_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id    text COLLATE "C" NOT NULL REFERENCES customers,
  request_id     text COLLATE "C" NOT NULL UNIQUE,
  name           text NOT NULL,
  amount         text COLLATE "C" NOT NULL CHECK (amount ~ '^\d{1,15}(\.\d{1,24})?$'),
  currency       text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
  -- Lower ones pay first.
  priority       integer NOT NULL,
  -- What the customer paid for one unit of credit; null: nothing.
  cost_basis     text COLLATE "C" CHECK (cost_basis ~ '^\d{1,15}(\.\d{1,24})?$'),
  applies_to     text NOT NULL CHECK (applies_to IN ('all', 'usage', 'fees')),
  effective_from timestamptz NOT NULL,
  expires_at     timestamptz CHECK (expires_at > effective_from),
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX credit_grants_customer ON credit_grants (customer_id);

-- What invoice revisions took of grants. Of the revisions of a period the newest counts.
CREATE TABLE credit_entries (
  grant_id  bigint NOT NULL REFERENCES credit_grants,
  period_id bigint NOT NULL,
  revision  integer NOT NULL,
  burned    text COLLATE "C" NOT NULL,
  expired   text COLLATE "C" NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (grant_id, period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES invoices
);

-- What an invoice revision leaves to the next period (src/contracts/balances.ts).
CREATE TABLE period_balances (
  period_id bigint NOT NULL,
  revision  integer NOT NULL,
  closing   jsonb NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES invoices
);

-- Product or tax code of a line at Stripe, where the plan names one.
ALTER TABLE invoice_lines ADD COLUMN stripe jsonb;

DO $$
DECLARE immutable text;
BEGIN
  FOREACH immutable IN ARRAY ARRAY['exchange_rates', 'adjustments', 'credit_grants', 'credit_entries', 'period_balances']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()',
      immutable || '_immutable', immutable);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
      immutable || '_no_truncate', immutable);
  END LOOP;
END $$;
