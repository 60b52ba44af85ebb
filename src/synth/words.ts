/**
 * What is written in this world: names, things, sums, dates and codes. Words of one split never occur in another, by their hash; numbers and
 * the names of colours and shapes are common to all. In training most words occur once only: a model that can guess them from
 * the list does not read them.
 */
import { type Dice, hashText } from "./dice.ts";
import type { Split } from "./font.ts";

const ONSETS = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st t tr v w z".split(" ");
const VOWELS = "a e i o u ai ea io oo".split(" ");
const CODAS = ["", "", "n", "r", "l", "s", "t", "m", "nd", "rk", "st", "x"];

const THINGS = (
  "apple bread butter cheese milk eggs honey rice beans pasta onion carrot potato tomato salad soup pizza burger cookie cake coffee tea juice " +
  "water soda lamp chair table desk shelf mirror pillow blanket towel soap brush comb shirt pants jacket socks shoes boots hat scarf gloves belt " +
  "watch ring wallet bag pen pencil paper book folder ruler glue tape stapler scissors phone tablet laptop cable charger camera radio speaker " +
  "battery screw hammer drill nail paint rope ladder bucket plant seed flower vase candle clock ticket stamp map guitar drum flute violin ball " +
  "racket bike helmet tent stove kettle spoon fork knife plate bowl cup glass bottle basket box key lock door window carpet curtain fan heater"
).split(" ");
const PLACES = (
  "Alder Birch Cedar Dover Elmwood Fairview Granite Harbor Iris Juniper Kenton Linden Maple Norwood Oakdale Porter Quincy Ridge Summit Tanner " +
  "Union Valley Weston York Zephyr Ashford Brook Clifton Dalton Easton Foxhill Grove Hilltop Ivory Jasper Kirby Lakeside Milton Newport Orchard"
).split(" ");
const FIRST_NAMES = (
  "Ada Ben Carla Dan Eva Finn Gina Hugo Ines Jack Kate Leo Mia Nils Olga Paul Rosa Sam Tina Uma Vera Will Xena Yann Zoe Anna Bruno Clara David " +
  "Elsa Fred Greta Henry Ida Jonas Kira Lars Maria Noah Otto Petra Ron Sara Tom Ute Victor Wanda Karl Lena Mark Nora Oscar"
).split(" ");

/** Common to all splits. */
export const MONTHS: readonly string[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Of lines and rows. */
export const ORDINALS: readonly string[] = "first second third fourth fifth sixth seventh eighth".split(" ");

/** True when a word belongs to the split: eight of ten words are for training. */
export function belongsTo(word: string, split: Split): boolean {
  const share = hashText(word.toLowerCase()) % 10;
  return split === "train" ? share < 8 : split === "validation" ? share === 8 : share === 9;
}

export class Writer {
  readonly #dice: Dice;
  readonly #split: Split;

  constructor(dice: Dice, split: Split) {
    this.#dice = dice;
    this.#split = split;
  }

  /** `count` different things that are sold or counted. */
  things(count: number): string[] {
    return this.some(THINGS, count);
  }

  places(count: number): string[] {
    return this.some(PLACES, count);
  }

  firstName(): string {
    return this.some(FIRST_NAMES, 1)[0];
  }

  /** A made-up word of the split, capitalised. */
  surname(): string {
    for (;;) {
      const word = this.#syllable() + (this.#dice.chance(0.6) ? this.#syllable() : "");
      if (word.length >= 4 && word.length <= 9 && belongsTo(word, this.#split)) {
        return word[0].toUpperCase() + word.slice(1);
      }
    }
  }

  fullName(): string {
    return `${this.firstName()} ${this.surname()}`;
  }

  /** "Maple Shop" and the like. */
  company(): string {
    const kind = this.#dice.pick(["Shop", "Store", "Market", "Cafe", "Depot", "Mart", "Trade", "Goods"]);
    return `${this.#dice.chance(0.5) ? this.places(1)[0] : this.surname()} ${kind}`;
  }

  date(): string {
    const [day, month, year] = [this.#dice.int(1, 28), this.#dice.int(1, 12), this.#dice.int(2001, 2029)];
    const two = (n: number): string => String(n).padStart(2, "0");
    return this.#dice.pick([
      `${two(day)}/${two(month)}/${year}`,
      `${MONTHS[month - 1]} ${day}, ${year}`,
      `${year}-${two(month)}-${two(day)}`,
    ]);
  }

  /** "4.99"; in whole cents so that sums come out. */
  price(maxCents = 4000): { cents: number; text: string } {
    const cents = this.#dice.int(20, maxCents);
    return { cents, text: money(cents) };
  }

  code(): string {
    const letters = Array.from({ length: this.#dice.int(1, 3) }, () =>
      this.#dice.pick([..."ABCDEFGHJKLMNPRSTUVWXYZ"]),
    ).join("");
    return `${letters}-${this.#dice.int(10, 9999)}`;
  }

  phone(): string {
    return `${this.#dice.int(200, 999)}-${String(this.#dice.int(0, 9999)).padStart(4, "0")}`;
  }

  #syllable(): string {
    return this.#dice.pick(ONSETS) + this.#dice.pick(VOWELS) + this.#dice.pick(CODAS);
  }

  /** `count` different words like those of `list`: in training a third of them is in it, elsewhere as many as the split owns; the others are made up. */
  some(list: readonly string[], count: number): string[] {
    const owned = list.filter((word) => belongsTo(word, this.#split));
    const isCapital = list[0][0] === list[0][0].toUpperCase();
    const madeUp = (): string => (isCapital ? this.surname() : this.surname().toLowerCase());
    const words = new Set<string>();
    if (this.#split === "train") {
      const ways = [() => this.#dice.pick(owned), () => this.#spliced(owned), madeUp];
      while (words.size < count) words.add(this.#dice.pick(ways)());
    } else {
      for (const word of this.#dice.sample(owned, count)) words.add(word);
      while (words.size < count) words.add(madeUp());
    }
    return [...words];
  }

  /** The beginning of one word with the end of another: "kettle" and "shelf" make "ketelf". */
  #spliced(list: readonly string[]): string {
    for (;;) {
      const [first, last] = [this.#dice.pick(list), this.#dice.pick(list)];
      const word =
        first.slice(0, this.#dice.int(1, Math.min(5, first.length - 1))) +
        last.slice(-this.#dice.int(1, Math.min(5, last.length - 1)));
      if (word.length >= 3 && belongsTo(word, this.#split)) return word;
    }
  }
}

export function money(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
}
