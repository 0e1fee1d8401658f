import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

/** The randomised fault campaign: it runs for as long as one likes, so it is no part of `npm test`. */
export default defineConfig({
  test: { ...base.test, include: ['test/faults/campaign.ts'], reporters: ['verbose'] },
});
