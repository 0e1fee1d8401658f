export { billingPeriod } from './billing-period.js';
export { importPrices } from './import-prices.js';
