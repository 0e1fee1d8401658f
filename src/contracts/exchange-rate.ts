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

/** What becomes of a rate for a pair and an instant that has one. */
export const ON_PUBLISHED = ['replace', 'keep'] as const;
export type OnPublished = (typeof ON_PUBLISHED)[number];

export const exchangeRatesSchema = z.strictObject({
  rates: z.array(exchangeRateSchema).min(1).max(EXCHANGE_RATES_COUNT),
  /**
   * `replace` (default): the new row holds from now on. `keep`: the same rate is not published twice, and another one is
   * refused with all of the request; for imports that are repeated.
   */
  on_published: z.enum(ON_PUBLISHED).default('replace'),
});

/** What a request published; `unchanged`: how many of its rates were there already. */
export interface PublishedRates {
  data: ExchangeRate[];
  unchanged: number;
}

/** A published rate. */
export interface ExchangeRate extends ExchangeRateBody {
  rate_id: number;
  published_by: string;
  published_at: string;
}
