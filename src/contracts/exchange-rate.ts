import { z } from 'zod';
import { EXCHANGE_RATES_COUNT } from '../limits.js';
import { currencySchema, instantSchema, labelSchema, unsignedDecimalSchema } from './ids.js';

/** One unit of `from` is `rate` units of `to`, from an instant on. */
export const exchangeRateSchema = z
  .strictObject({
    from: currencySchema,
    to: currencySchema,
    rate: unsignedDecimalSchema.refine((rate) => /[1-9]/.test(rate), 'must be above zero'),
    effective_from: instantSchema,
    /** Where it was taken from, for the books. */
    source: labelSchema.default('finance'),
  })
  .refine((rate) => rate.from !== rate.to, { error: 'must be two currencies', path: ['to'] });
export type ExchangeRateBody = z.infer<typeof exchangeRateSchema>;

export const exchangeRatesSchema = z.strictObject({
  rates: z.array(exchangeRateSchema).min(1).max(EXCHANGE_RATES_COUNT),
});

/** A published rate. */
export interface ExchangeRate extends ExchangeRateBody {
  rate_id: number;
  published_by: string;
  published_at: string;
}
