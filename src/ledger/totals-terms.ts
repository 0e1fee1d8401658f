import type { Queryable } from '../database/pool.js';
import type { PeriodSpan } from '../plans/plan-times.js';
import { readExchangeRates } from './exchange-rates.js';
import type { PeriodInputs } from './pricing-inputs.js';
import type { SealablePeriod, SealInputs } from './seal.js';
import type { TotalsTerms } from './totals.js';

/** The terms of a period that is not sealed: the rates that a seal would pin now. */
export async function openTotalsTerms(
  database: Queryable,
  period: SealablePeriod,
  { inputs, plans }: Pick<PeriodInputs, 'inputs' | 'plans'>,
): Promise<TotalsTerms> {
  const { currency } = plans[0]!;
  const rates = await readExchangeRates(database, currency, period.ends_at);
  const [from, to] = [period.calendar_from.getTime(), period.calendar_to.getTime()];
  const span = { start_ms: period.starts_at.getTime(), end_ms: period.ends_at.getTime(), calendar_ms: to - from };
  return { inputs, plans, span, currency, rates };
}

/** The terms that a seal pinned. */
export function sealedTotalsTerms({ pricing, plans, period, exchange_rates: rates }: SealInputs): TotalsTerms {
  return { inputs: pricing, plans, span: sealedSpan(period), currency: plans[0]!.currency, rates };
}

function sealedSpan({ start, end, calendar_from, calendar_to }: SealInputs['period']): PeriodSpan {
  return {
    start_ms: Date.parse(start),
    end_ms: Date.parse(end),
    calendar_ms: Date.parse(calendar_to) - Date.parse(calendar_from),
  };
}
