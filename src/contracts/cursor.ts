import { CostplusError } from '../errors/error.js';

/** The cursor that stands for a place in a list: opaque to clients. */
export function writeCursor(place: string): string {
  return Buffer.from(place).toString('base64url');
}

/** The place that a cursor stands for. Throws `invalid_request` where it is not of the form that the list writes. */
export function readPlace(cursor: string, form: RegExp): string {
  const place = Buffer.from(cursor, 'base64url').toString();
  if (!form.test(place)) {
    throw new CostplusError('invalid_request', 'The cursor is not one that this list gave.', { field: 'cursor' });
  }
  return place;
}
