import { expect, it } from 'vitest';
import { METERS } from '../../../src/contracts/meters.js';
import { tableRows } from '../../support/docs.js';

it('docs/reference/meters.md has every meter with its unit and side, and no other', () => {
  const known = Object.entries(METERS).map(([meter, { unit, direction, fractions }]) => [
    meter,
    unit,
    direction,
    fractions ? 'yes' : 'no',
  ]);
  expect(tableRows('docs/reference/meters.md').sort()).toEqual(known.sort());
});
