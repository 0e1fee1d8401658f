/**
 * A value after a PUT: what the body asks for; where it leaves the key out, the known value; the default where it says
 * null, and for a new customer.
 */
export function kept<T>(asked: T | null | undefined, known: T | undefined, standard: T): T {
  if (asked === undefined) return known ?? standard;
  return asked ?? standard;
}
