import { refused } from './stripe-answer.js';
import { type Endpoint, seconds } from './stripe-endpoint.js';
import { readParameters, schemas } from './stripe-parameters.js';

/** Products say in their id what they are, `prod_fee_txcd_10103001`, so that nothing needs to be kept of them. */
export const retrieveProduct: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  if (id.startsWith('prod_missing')) throw refused(`No such product: '${id}'`, 'resource_missing', 'id', 404);
  return {
    id,
    object: 'product',
    created: seconds(context),
    active: true,
    name: id,
    tax_code: taxCodeOfProduct(id),
    livemode: false,
  };
};

/** The tax code of a product; null where it has none of its own. */
export function taxCodeOfProduct(id: string | undefined): string | null {
  return /_(txcd_\d{8})$/.exec(id ?? '')?.[1] ?? null;
}
