-- Credits that pay for some usage only, and what finance takes back: what is left of a grant, an adjustment before the
-- seal.

-- What the usage must be that the grant pays for, in the words of a plan's rules; null: what `applies_to` says.
ALTER TABLE credit_grants ADD COLUMN match jsonb,
  ADD CHECK (match IS NULL OR (applies_to = 'usage' AND jsonb_typeof(match) = 'object' AND match <> '{}'));

-- From here on a grant pays for nothing more. What invoices took of it stays theirs.
CREATE TABLE credit_revocations (
  grant_id   bigint PRIMARY KEY REFERENCES credit_grants,
  reason     text NOT NULL,
  revoked_by text NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT now()
);

-- Adjustments that were taken back before their period was sealed.
CREATE TABLE adjustment_withdrawals (
  adjustment_id bigint PRIMARY KEY REFERENCES adjustments,
  reason        text NOT NULL,
  withdrawn_by  text NOT NULL,
  withdrawn_at  timestamptz NOT NULL DEFAULT now()
);

-- What a seal took over cannot be taken back any more: the next revision corrects it, or another adjustment.
CREATE FUNCTION refuse_late_withdrawal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM adjustments a JOIN periods p USING (period_id)
             WHERE a.adjustment_id = NEW.adjustment_id AND p.sealed_at IS NOT NULL) THEN
    RAISE EXCEPTION 'adjustment % is in a seal', NEW.adjustment_id USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER adjustment_withdrawals_in_time BEFORE INSERT ON adjustment_withdrawals
  FOR EACH ROW EXECUTE FUNCTION refuse_late_withdrawal();

DO $$
DECLARE immutable text;
BEGIN
  FOREACH immutable IN ARRAY ARRAY['credit_revocations', 'adjustment_withdrawals']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()',
      immutable || '_immutable', immutable);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
      immutable || '_no_truncate', immutable);
  END LOOP;
END $$;
