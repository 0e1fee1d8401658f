/** Form-encoded parameters as Stripe's v1 API takes them: `lines[0][metadata][k]=v`. */
export type FormValue = string | FormValue[] | { [key: string]: FormValue };
export type FormParams = Record<string, FormValue>;

interface Node {
  [key: string]: string | Node;
}

/** The nested parameters of an `application/x-www-form-urlencoded` text; objects keyed 0..n-1 become arrays. */
export function parseForm(text: string): FormParams {
  const root: Node = Object.create(null);
  if (text === '') return {};
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=');
    const name = decode(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? '' : decode(pair.slice(at + 1));
    const bracket = name.indexOf('[');
    const path = bracket < 0 ? [name] : [name.slice(0, bracket), ...name.slice(bracket + 1, -1).split('][')];
    let node = root;
    path.forEach((step, depth) => {
      // `expand[]=x` appends.
      const key = step === '' ? String(Object.keys(node).length) : step;
      if (depth === path.length - 1) {
        node[key] = value;
        return;
      }
      const next = node[key];
      if (next === undefined || typeof next === 'string') node[key] = Object.create(null) as Node;
      node = node[key] as Node;
    });
  }
  return Object.fromEntries(Object.entries(root).map(([key, value]) => [key, withArrays(value)]));
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function withArrays(value: string | Node): FormValue {
  if (typeof value === 'string') return value;
  const keys = Object.keys(value);
  if (keys.every((key, index) => key === String(index))) return keys.map((key) => withArrays(value[key]!));
  return Object.fromEntries(keys.map((key) => [key, withArrays(value[key]!)]));
}
