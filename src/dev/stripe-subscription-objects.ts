export interface StandInSubscription {
  id: string;
  object: 'subscription';
  created: number;
  customer: string;
  currency: string;
  status: 'active' | 'canceled';
  billing_cycle_anchor: number;
  cancel_at_period_end: false;
  canceled_at: number | null;
  collection_method: 'charge_automatically' | 'send_invoice';
  days_until_due: number | null;
  latest_invoice: string | null;
  livemode: false;
  metadata: Record<string, string>;
  test_clock: string | null;
  /** What each renewal bills, in minor units. */
  items: {
    object: 'list';
    data: { id: string; object: 'subscription_item'; unit_amount: number; product: string; quantity: number }[];
    has_more: false;
    url: string;
  };
}

export interface StandInInvoiceItem {
  id: string;
  object: 'invoiceitem';
  amount: number;
  currency: string;
  customer: string;
  /** When it was made, as Stripe calls it. */
  date: number;
  description: string | null;
  discountable: boolean;
  discounts: [];
  /** Null while it is pending. */
  invoice: string | null;
  livemode: false;
  metadata: Record<string, string>;
  parent: { type: 'subscription_details'; subscription_details: { subscription: string } } | null;
  period: { start: number; end: number };
  pricing: { type: 'price_details'; price_details: { product: string }; unit_amount_decimal: string } | null;
  proration: false;
  quantity: number;
  tax_code: string | null;
  tax_rates: [];
  test_clock: null;
}
