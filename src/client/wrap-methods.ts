/** Stands between a caller and a method: `call` is the method on the client's own object. */
export type Interceptor = (call: (...args: unknown[]) => unknown, args: unknown[]) => unknown;

type Method = (...args: unknown[]) => unknown;

/** What each view shows. */
const originals = new WeakMap<object, object>();

/** The client behind a view, or the client itself: a client that is wrapped again must not report every call twice. */
export function unwrapped<T extends object>(client: T): T {
  return (originals.get(client) as T | undefined) ?? client;
}

/** Remembers that `view` shows `client`. */
export function asViewOf<T extends object>(client: T, view: T): T {
  originals.set(view, client);
  return view;
}

/**
 * A view of an SDK's client in which some methods, named by their path (`chat.completions.create`), go through an
 * interceptor. The client itself stays as it is, and everything else of it answers as before: types, `instanceof`, and
 * helpers such as `.stream()` or `.parse()`, which reach the same methods through the view.
 */
export function wrapMethods<T extends object>(given: T, interceptors: Readonly<Record<string, Interceptor>>): T {
  const client = unwrapped(given);
  const paths = Object.keys(interceptors);
  const bound = new WeakMap<Method, Method>();
  const views = new WeakMap<object, object>();

  const viewOf = (target: object, path: string): object => {
    const known = views.get(target);
    if (known) return known;
    const isRoot = target === client;
    const intercepted = new Map<Method, Method>();
    const view = new Proxy(target, {
      get(_target, property) {
        const value: unknown = Reflect.get(target, property, target);
        // Helpers of a resource call other methods through its client: those calls are to be seen too.
        if (value === client) return root;
        if (typeof property === 'symbol' || property === 'constructor') return value;
        const here = path === '' ? property : `${path}.${property}`;
        if (typeof value === 'function') {
          const method = value as Method;
          const interceptor = interceptors[here];
          if (interceptor) {
            return remembered(
              intercepted,
              method,
              () =>
                (...args: unknown[]) =>
                  interceptor((...changed) => method.apply(target, changed), args),
            );
          }
          // Clients have private members, which only the client itself may reach.
          return isRoot ? remembered(bound, method, () => method.bind(target) as Method) : method;
        }
        if (typeof value === 'object' && value !== null && paths.some((known) => known.startsWith(`${here}.`))) {
          return viewOf(value, here);
        }
        return value;
      },
      set(_target, property, value) {
        return Reflect.set(target, property, value, target);
      },
    });
    views.set(target, view);
    return view;
  };
  const root = viewOf(client, '') as T;
  return asViewOf(client, root);
}

function remembered(
  known: { get(key: Method): Method | undefined; set(key: Method, value: Method): unknown },
  key: Method,
  make: () => Method,
): Method {
  let value = known.get(key);
  if (!value) {
    value = make();
    known.set(key, value);
  }
  return value;
}
