/**
 * The 120 contractions that VQA answers are normalised by, built from the rules that generate them: key as written by annotators → spelling.
 * Source: EvalAI answer processor, as in lmms-eval v0.3.0 and VILA's M4C evaluator (equal tables).
 */

const ONE_APOSTROPHE =
  "'twas I'm I've ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's isn't " +
  "it'd it'll ma'am might've mightn't must've mustn't needn't not've o'clock oughtn't shan't should've shouldn't somebody'll somebody's " +
  "someone'd someone'll someone's something'd something'll that's there'd there're there's they'd they'll they're they've wasn't we've " +
  "weren't what'll what're what's what've when's where'd where's where've who'd who'll who's who've why'll why're why's won't would've " +
  "wouldn't y'all you'd you'll you're you've";
const MORE_APOSTROPHES =
  "couldn't've hadn't've he'd've I'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've something'd've there'd've " +
  "they'd've we'd've who'd've wouldn't've y'all'll you'd've 'ow's'at y'all'd've";

/** Key → contraction. KEEPS: keys with a capital never match, because words are looked up in lower case. */
export const CONTRACTIONS: ReadonlyMap<string, string> = new Map([
  ...ONE_APOSTROPHE.split(" ").map((word): [string, string] => [word.replaceAll("'", ""), word]),
  ...MORE_APOSTROPHES.split(" ").flatMap(withoutOneApostrophe),
  ["let's", "let's"],
  ["she's", "she's"],
  ["somebody'd", "somebodyd"], // KEEPS: the original's misprint
]);

function withoutOneApostrophe(word: string): [string, string][] {
  return [...word.matchAll(/'/g)].map((match) => [word.slice(0, match.index) + word.slice(match.index + 1), word]);
}
