import type { OpeningChange } from '../contracts/balances.js';
import type { PeriodStatus } from '../contracts/period.js';

/** A row of `periods`. */
export interface Period {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  calendar_from: Date;
  calendar_to: Date;
  seals_at: Date;
  status: PeriodStatus;
  status_reason: string | null;
  resume_status: PeriodStatus | null;
  payment_status: string | null;
  /** The period that it waits for while it is closing; null where it waits for none. */
  waits_for: string | null;
  /** How what it opened with differs from what it would open with now; null where it does not. */
  opening_changes: OpeningChange[] | null;
  /** Null while the period takes usage. */
  sealed_at: Date | null;
  opened_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

/** The columns of a Period, for SELECT and RETURNING. */
export const PERIOD_COLUMNS = `period_id, customer_id, start_date, starts_at, ends_at, calendar_from, calendar_to, seals_at,
  status, status_reason, resume_status, payment_status, waits_for, opening_changes, sealed_at, opened_at, created_at, updated_at`;
