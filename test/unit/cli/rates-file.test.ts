import { describe, expect, it } from 'vitest';
import { readRates } from '../../../src/cli/rates-file.js';

const ASKED = { places: 6, time: '16:00' };
const GBP = { ...ASKED, from: 'usd', to: 'gbp' };

/** As the European Central Bank publishes them: one day, all days, and both as XML. */
const DAILY = 'Date, USD, JPY, GBP, \n24 November 2026, 1.0495, 161.64, 0.83465, \n';
const HISTORY = `Date,USD,JPY,GBP,ISK,
2026-11-24,1.0495,161.64,0.83465,145.3,
2026-11-23,1.0412,161.1,0.83001,N/A,
2026-11-20,1.0480,161.2,0.83500,,
`;
const XML = (days: string) => `<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>
${days}
	</Cube>
</gesmes:Envelope>`;
const DAY = `		<Cube time='2026-11-24'>
			<Cube currency='USD' rate='1.0495'/>
			<Cube currency="GBP" rate="0.83465"/>
		</Cube>`;

describe('rates of the European Central Bank', () => {
  // 0.83465 / 1.0495 = 0.795283468...
  const usdToGbp = {
    from: 'usd',
    to: 'gbp',
    rate: '0.795283',
    effective_from: '2026-11-24T16:00:00Z',
    source: 'European Central Bank, 2026-11-24, gbp / usd of its euro rates',
  };

  it.each([
    ['its daily CSV', DAILY],
    ['its daily CSV with a byte order mark', `\uFEFF${DAILY}`],
    ['its XML', XML(DAY)],
    ['its XML in one line', XML(DAY).replaceAll(/\n\s*/g, '')],
  ])('are read from %s, the quotient of two euro rates', (_what, text) => {
    expect(readRates(text, GBP)).toEqual([usdToGbp]);
  });

  it('are read from its history, each day that has both, from the day that is asked for', () => {
    expect(readRates(HISTORY, GBP).map(({ rate, effective_from }) => `${effective_from} ${rate}`)).toEqual([
      '2026-11-24T16:00:00Z 0.795283',
      '2026-11-23T16:00:00Z 0.797167',
      '2026-11-20T16:00:00Z 0.796756',
    ]);
    expect(readRates(HISTORY, { ...GBP, since: '2026-11-23' })).toHaveLength(2);
    expect(readRates(HISTORY, { ...GBP, to: 'isk' }).map(({ rate }) => rate)).toEqual(['138.446879']);
  });

  it('are rounded half away from zero to the places that are asked for', () => {
    const rate = (places: number, to = 'gbp') => readRates(DAILY, { ...GBP, places, to })[0]!.rate;
    expect(rate(0)).toBe('1');
    expect(rate(2)).toBe('0.8');
    expect(rate(3)).toBe('0.795');
    expect(rate(12)).toBe('0.795283468318');
    const half = 'Date,USD,GBP,\n2026-11-24,2,0.25,\n';
    expect(readRates(half, { ...GBP, places: 2 })[0]!.rate).toBe('0.13');
  });

  it('from euro are taken as they were published, into euro they are one over it', () => {
    expect(readRates(DAILY, { ...ASKED, from: 'eur', to: 'usd', places: 2 })[0]).toMatchObject({
      rate: '1.0495',
      source: 'European Central Bank, 2026-11-24',
    });
    expect(readRates(DAILY, { ...ASKED, from: 'usd', to: 'eur' })[0]).toMatchObject({ rate: '0.952835' });
  });

  it('begin at the time of the day that is asked for', () => {
    expect(readRates(DAILY, { ...GBP, time: '00:00' })[0]!.effective_from).toBe('2026-11-24T00:00:00Z');
  });

  it.each([
    ['a date that is none', 'Date,USD,GBP,\n2026-11-31,1.1,0.8,\n', 'line 2: does not begin with a date'],
    ['a month that is none', 'Date, USD, GBP, \n24 Novembre 2026, 1.1, 0.8, \n', 'line 2: does not begin with a date'],
    ['a rate that is none', HISTORY.replace('0.83001', '0,83001'), 'line 3: has no rate for GBP'],
    ['a rate of nothing', HISTORY.replace('0.83001', '0.0'), 'line 3: has no rate for GBP'],
    ['a column that is no currency', 'Date,Dollar,GBP,\n2026-11-24,1.1,0.8,\n', 'line 2: names what is no currency'],
    ['a currency twice', XML(DAY.replace('GBP', 'USD')), 'line 10: has USD twice'],
    [
      'a quotient that rounds to nothing',
      'Date,USD,GBP,\n2026-11-24,9000000,0.1,\n',
      'line 2: rate must be above zero',
    ],
    ['a document type', `<!DOCTYPE x>${XML(DAY)}`, 'line 1: is not as the European Central Bank writes it'],
    ['an entity', XML(DAY).replace('Reference', '&x;'), 'line 3: is not as'],
    ['an element of another document', XML('<Sphere/>'), 'line 8: has an element'],
    ['a rate outside of a day', XML("<Cube currency='USD' rate='1.1'/>"), 'line 8: has a rate of no day'],
    ['an end that is missing', XML(DAY).replace('</gesmes:Envelope>', ''), 'ends before the document does'],
    ['elements that overlap', XML(DAY).replace('</gesmes:Sender>', '</Cube>'), 'line 6: closes what is not open'],
    ['text between the elements', XML(`loose ${DAY}`), 'line 7: has text of its own'],
  ])('are refused with %s', (_what, text, fault) => {
    expect(() => readRates(text, GBP)).toThrow(fault);
  });

  it('have to have the pair', () => {
    expect(() => readRates(DAILY, ASKED)).toThrow('Say which pair');
    expect(() => readRates(DAILY, { ...GBP, to: 'chf' })).toThrow('no rate that was asked for');
  });

  it('of three decades are read in a moment', () => {
    const days = Array.from({ length: 7_000 }, (_, index) => {
      const date = new Date(Date.UTC(1999, 0, 4) + index * 86_400_000).toISOString().slice(0, 10);
      return `<Cube time='${date}'><Cube currency='USD' rate='1.1'/>\n<Cube currency='GBP' rate='0.8'/></Cube>`;
    });
    expect(readRates(XML(days.join('\n')), GBP)).toHaveLength(7_000);
  });
});

describe('rates of a CSV file', () => {
  const csv = (...rows: string[]) => ['from,to,rate,effective_from,note', ...rows].join('\n');

  it('are taken as they stand; a date is midnight UTC, the note is kept', () => {
    expect(
      readRates(csv('usd,gbp,0.79,2026-11-01,Treasury', 'USD,EUR,0.95,2026-11-01T09:00:00+01:00,'), ASKED),
    ).toEqual([
      { from: 'usd', to: 'gbp', rate: '0.79', effective_from: '2026-11-01T00:00:00Z', source: 'Treasury' },
      { from: 'usd', to: 'eur', rate: '0.95', effective_from: '2026-11-01T09:00:00+01:00', source: 'finance' },
    ]);
    expect(readRates('from,to,rate,effective_from\nusd,gbp,0.79,2026-11-01\n', ASKED)).toHaveLength(1);
  });

  it('are refused all together, each line at fault by its number', () => {
    const read = () =>
      readRates(
        csv(
          'usd,gbp,0.79,2026-11-01,',
          'usd,usd,1,2026-11-01,',
          'usd,gbp,0,2026-11-02,',
          'usd,gbp,0.8,yesterday,',
          'usd,gbp',
          'dollar,gbp,0.8,2026-11-02,',
        ),
        ASKED,
      );
    expect(read).toThrow(
      [
        'Nothing was published.',
        '  line 3: to must be two currencies',
        '  line 4: rate must be above zero',
        '  line 5: effective_from must be an RFC 3339 time with a zone',
        '  line 6: does not have the columns of the first line',
        '  line 7: from must be a lower-case ISO 4217 code such as "usd"',
      ].join('\n'),
    );
  });

  it('name twenty lines at most', () => {
    const rows = Array.from({ length: 25 }, () => 'usd,gbp,0,2026-11-01,');
    expect(() => readRates(csv(...rows), ASKED)).toThrow(/line 21: rate must be above zero\n {2}and 5 more lines$/);
  });

  it('need their header, and no pair', () => {
    expect(() => readRates('usd,gbp,0.79,2026-11-01', ASKED)).toThrow('The first line must be');
    expect(() => readRates(csv(), ASKED)).toThrow('no rate');
    expect(() => readRates(csv('usd,gbp,0.79,2026-11-01,'), GBP)).toThrow('--from and --to');
    expect(() => readRates(csv('usd,"gbp,0.79,2026-11-01,'), ASKED)).toThrow(/line \d: is not valid CSV/);
  });
});
