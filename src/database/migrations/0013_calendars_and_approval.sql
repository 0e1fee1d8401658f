-- Periods of a week, a quarter or a year beside those of a month.

ALTER TABLE customer_calendars
  ADD COLUMN interval text NOT NULL DEFAULT 'month' CHECK (interval IN ('month', 'week', 'quarter', 'year')),
  -- The month in which a year, or one of a year's quarters, begins.
  ADD COLUMN anchor_month integer NOT NULL DEFAULT 1 CHECK (anchor_month BETWEEN 1 AND 12),
  -- The day on which a week begins: 1 is Monday, 7 is Sunday.
  ADD COLUMN anchor_weekday integer NOT NULL DEFAULT 1 CHECK (anchor_weekday BETWEEN 1 AND 7);

-- Periods of a range of start dates, for dry runs over all customers.
CREATE INDEX periods_start_date ON periods (start_date, period_id);

-- A period whose invoice waits for finance, or has: why, and when somebody is reminded of it next.
ALTER TABLE periods
  ADD COLUMN approval_reason text,
  ADD COLUMN approval_remind_at timestamptz;
