import { badParameter } from './stripe-answer.js';
import { type Endpoint, seconds } from './stripe-endpoint.js';
import { newId, type StandInDiscount, type StandInTaxRate } from './stripe-objects.js';
import { readParameters, schemas } from './stripe-parameters.js';

/** Tax rates and coupons say in their id what they are, so that nothing needs to be kept of them. */
export const createTaxRate: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.taxRateCreate, params);
  return {
    id: `txr_${asked.inclusive ? 'inclusive' : 'exclusive'}_${Math.round(Number(asked.percentage) * 100)}`,
    object: 'tax_rate',
    created: seconds(context),
    display_name: asked.display_name,
    inclusive: asked.inclusive,
    percentage: Number(asked.percentage),
    active: true,
    livemode: false,
  };
};

export const createCoupon: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.couponCreate, params);
  const off =
    asked.amount_off === undefined
      ? `percent_${Math.round(Number(asked.percent_off) * 100)}`
      : `amount_${asked.amount_off}`;
  return {
    id: `coupon_${off}`,
    object: 'coupon',
    created: seconds(context),
    amount_off: asked.amount_off ?? null,
    percent_off: asked.percent_off === undefined ? null : Number(asked.percent_off),
    currency: asked.currency ?? null,
    duration: asked.duration,
    livemode: false,
  };
};

export function taxRateOf(id: string): StandInTaxRate {
  const named = /^txr_(inclusive|exclusive)_(\d+)$/.exec(id);
  if (!named) throw badParameter('default_tax_rates', `No such tax rate: '${id}'`, 'resource_missing');
  return { id, basis_points: Number(named[2]), inclusive: named[1] === 'inclusive' };
}

export function discountOf(coupon: string): StandInDiscount {
  const named = /^coupon_(percent|amount)_(\d+)$/.exec(coupon);
  if (!named) throw badParameter('discounts', `No such coupon: '${coupon}'`, 'resource_missing');
  const off = Number(named[2]);
  return named[1] === 'percent'
    ? { id: newId('di'), basis_points: off, amount_off: null }
    : { id: newId('di'), basis_points: 0, amount_off: off };
}
