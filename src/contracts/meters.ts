/**
 * The meters costplus knows by name. Meters of one event are additive: each unit of work is counted in one meter only.
 * Any other name that fits METER_PATTERN is accepted too (`images_1024x1024_hd`, `rerank_documents`), with fractions where
 * the sender has them: usage is read before anybody looks into a catalog, so that the catalog cannot decide what may be
 * sent. It is held until a catalog prices it.
 */
export interface MeterDefinition {
  /** Which side of a model call the meter stands on; `other` counts into the total only. */
  direction: 'input' | 'output' | 'other';
  /** What one unit is called on an invoice line. */
  unit: string;
  /** Whether a quantity may have a fraction (decimal string). */
  fractions: boolean;
}

const tokens = (direction: 'input' | 'output'): MeterDefinition => ({ direction, unit: 'tokens', fractions: false });
const other = (unit: string, fractions = false): MeterDefinition => ({ direction: 'other', unit, fractions });

export const METERS: Readonly<Record<string, MeterDefinition>> = {
  input_tokens: tokens('input'),
  cache_read_tokens: tokens('input'),
  cache_write_tokens: tokens('input'),
  cache_write_1h_tokens: tokens('input'),
  input_audio_tokens: tokens('input'),
  cache_read_audio_tokens: tokens('input'),
  input_image_tokens: tokens('input'),
  cache_read_image_tokens: tokens('input'),
  input_video_tokens: tokens('input'),
  tool_use_input_tokens: tokens('input'),
  output_tokens: tokens('output'),
  output_audio_tokens: tokens('output'),
  output_image_tokens: tokens('output'),
  output_video_tokens: tokens('output'),
  output_reasoning_tokens: tokens('output'),
  output_citation_tokens: tokens('output'),
  requests: other('requests'),
  web_searches: other('searches'),
  web_fetches: other('fetches'),
  file_searches: other('searches'),
  search_units: other('searches'),
  images: other('images'),
  documents: other('documents'),
  pages: other('pages'),
  /** Pages read with annotations; not in `pages`. */
  annotated_pages: other('pages'),
  tool_calls: other('calls'),
  code_sessions: other('sessions'),
  vector_reads: other('reads'),
  vector_writes: other('writes'),
  storage_gb_hours: other('GB-hours', true),
  input_audio_seconds: { direction: 'input', unit: 'seconds', fractions: true },
  output_audio_seconds: { direction: 'output', unit: 'seconds', fractions: true },
  input_text_messages: { direction: 'input', unit: 'messages', fractions: false },
  input_characters: { direction: 'input', unit: 'characters', fractions: false },
  output_video_seconds: { direction: 'output', unit: 'seconds', fractions: true },
  browser_seconds: other('seconds', true),
  browser_minutes: other('minutes', true),
  compute_seconds: other('seconds', true),
  gpu_seconds: other('seconds', true),
};

/** The side a meter stands on; unknown meters are `other`. */
export function meterDirection(meter: string): MeterDefinition['direction'] {
  return METERS[meter]?.direction ?? 'other';
}

/** What one unit of the meter is called; other meters go by their own name, so that no two of them are added up. */
export function meterUnit(meter: string): string {
  return METERS[meter]?.unit ?? meter.replaceAll('_', ' ');
}

/** Whether the meter takes decimal strings: what counts indivisible things does not; other meters do. */
export function allowsFractions(meter: string): boolean {
  return METERS[meter]?.fractions ?? true;
}
