-- Re-bills of invoices with tax and discounts of Stripe's, and of partly paid ones. All amounts that a correction plans are
-- before tax, as our revisions are; what Stripe adds to them or takes back with them is Stripe's.

-- An invoice of which a part was paid cannot be voided: it stands, like a paid one.
ALTER TABLE invoice_correction_steps
  DROP CONSTRAINT invoice_correction_steps_ended_check,
  ADD CONSTRAINT invoice_correction_steps_ended_check CHECK (ended IN ('paid', 'part_paid', 'void', 'deleted'));

ALTER TABLE invoice_submissions
  -- What was paid of the invoice, with tax (minor units); null while that was not read.
  ADD COLUMN stripe_paid bigint;

ALTER TABLE invoice_credit_notes
  -- A credit note of many lines is issued in parts.
  ADD COLUMN part integer NOT NULL DEFAULT 1 CHECK (part > 0),
  -- [{"invoice_line_item", "amount"}] as Stripe takes them: it puts the lines' tax and discounts on top. Null: an amount.
  ADD COLUMN lines jsonb,
  -- With `refund_minor`: how what was paid is given back, under the key of this generation. It depends on what was paid
  -- when the key was first used, so it is committed together with the generation.
  ADD COLUMN credit_minor bigint CHECK (credit_minor >= 0),
  -- What Stripe made of it, with tax.
  ADD COLUMN total_minor bigint,
  ALTER COLUMN refund_minor DROP NOT NULL,
  DROP CONSTRAINT invoice_credit_notes_check,
  ADD CONSTRAINT invoice_credit_notes_refund_minor_check CHECK (refund_minor >= 0),
  DROP CONSTRAINT invoice_credit_notes_pkey,
  ADD PRIMARY KEY (period_id, revision, stripe_invoice_id, part);

-- What is under way keeps its body, and so its key.
UPDATE invoice_credit_notes SET credit_minor = amount_minor - refund_minor;
UPDATE invoice_credit_notes SET total_minor = amount_minor WHERE stripe_credit_note_id IS NOT NULL;

ALTER TABLE invoice_credit_notes
  ADD CONSTRAINT invoice_credit_notes_parts_check CHECK ((refund_minor IS NULL) = (credit_minor IS NULL)),
  -- A key is used only for parts that are committed.
  ADD CONSTRAINT invoice_credit_notes_tried_check CHECK (tried_at IS NULL OR refund_minor IS NOT NULL);
