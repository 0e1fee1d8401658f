import { RULE_COVERAGE_PIECES_COUNT } from '../limits.js';

/** What a rule matches: for each attribute it names the values it takes; an attribute it does not name takes any. */
export type MatchSets = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Whether the earlier rules together match all that a rule matches, so that nothing can reach it.
 *
 * Attribute values are open-ended, so a rule that names an attribute never covers one that does not: some other value
 * is always left. Among the rest, each earlier rule is cut out of what is still uncovered; nothing left means covered.
 * Cutting can multiply the pieces; a plan that passes RULE_COVERAGE_PIECES_COUNT is taken as reachable, which is safe:
 * an unreachable rule charges nobody, it only misleads its reader.
 */
export function isCovered(rule: MatchSets, earlier: readonly MatchSets[]): boolean {
  let uncovered: MatchSets[] = [rule];
  for (const cut of earlier) {
    if (![...cut.keys()].every((name) => rule.has(name))) continue;
    uncovered = uncovered.flatMap((piece) => cutOut(piece, cut));
    if (uncovered.length === 0) return true;
    if (uncovered.length > RULE_COVERAGE_PIECES_COUNT) return false;
  }
  return false;
}

/** What of a piece the cut leaves, as pieces that do not overlap. Every attribute of the cut is in the piece. */
function cutOut(piece: MatchSets, cut: MatchSets): MatchSets[] {
  const left: MatchSets[] = [];
  let inside = piece;
  for (const [name, values] of cut) {
    const own = [...inside.get(name)!];
    const shared = own.filter((value) => values.has(value));
    if (shared.length === 0) return [piece];
    if (shared.length === own.length) continue;
    left.push(new Map(inside).set(name, new Set(own.filter((value) => !values.has(value)))));
    inside = new Map(inside).set(name, new Set(shared));
  }
  return left;
}
