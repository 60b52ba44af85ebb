/** Classes of VISTA3D by id, and the groups that a model may ask for by name. Source: VILA-M3 `label_groups_dict.json` at fc8c5a7. */

const run = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Vertebrae from L5 (33) up to C1 (56). */
const VERTEBRAE = [
  ...["L5", "L4", "L3", "L2", "L1"],
  ...run(1, 12).map((n) => `T${13 - n}`),
  ...run(1, 7).map((n) => `C${8 - n}`),
];

const NAMES: ReadonlyMap<number, string> = new Map([
  [1, "liver"],
  [2, "kidney"],
  [3, "spleen"],
  [4, "pancreas"],
  [5, "right kidney"],
  [6, "aorta"],
  [7, "inferior vena cava"],
  [8, "right adrenal gland"],
  [9, "left adrenal gland"],
  [10, "gallbladder"],
  [11, "esophagus"],
  [12, "stomach"],
  [13, "duodenum"],
  [14, "left kidney"],
  [15, "bladder"],
  [17, "portal vein and splenic vein"],
  [19, "small bowel"],
  [20, "lung"],
  [21, "bone"],
  [22, "brain"],
  [23, "lung tumor"],
  [24, "pancreatic tumor"],
  [25, "hepatic vessel"],
  [26, "hepatic tumor"],
  [27, "colon cancer primaries"],
  [28, "left lung upper lobe"],
  [29, "left lung lower lobe"],
  [30, "right lung upper lobe"],
  [31, "right lung middle lobe"],
  [32, "right lung lower lobe"],
  [57, "trachea"],
  [58, "left iliac artery"],
  [59, "right iliac artery"],
  [60, "left iliac vena"],
  [61, "right iliac vena"],
  [62, "colon"],
  [87, "left humerus"],
  [88, "right humerus"],
  [89, "left scapula"],
  [90, "right scapula"],
  [91, "left clavicula"],
  [92, "right clavicula"],
  [93, "left femur"],
  [94, "right femur"],
  [95, "left hip"],
  [96, "right hip"],
  [97, "sacrum"],
  [98, "left gluteus maximus"],
  [99, "right gluteus maximus"],
  [100, "left gluteus medius"],
  [101, "right gluteus medius"],
  [102, "left gluteus minimus"],
  [103, "right gluteus minimus"],
  [104, "left autochthon"],
  [105, "right autochthon"],
  [106, "left iliopsoas"],
  [107, "right iliopsoas"],
  [108, "left atrial appendage"],
  [109, "brachiocephalic trunk"],
  [110, "left brachiocephalic vein"],
  [111, "right brachiocephalic vein"],
  [112, "left common carotid artery"],
  [113, "right common carotid artery"],
  [114, "costal cartilages"],
  [115, "heart"],
  [116, "left kidney cyst"],
  [117, "right kidney cyst"],
  [118, "prostate"],
  [119, "pulmonary vein"],
  [120, "skull"],
  [121, "spinal cord"],
  [122, "sternum"],
  [123, "left subclavian artery"],
  [124, "right subclavian artery"],
  [125, "superior vena cava"],
  [126, "thyroid gland"],
  [128, "bone lesion"],
  [132, "airway"],
  ...VERTEBRAE.map((name, i): [number, string] => [33 + i, `vertebrae ${name}`]),
  [127, "vertebrae S1"],
  ...run(1, 12).flatMap((n): [number, string][] => [
    [62 + n, `left rib ${n}`],
    [74 + n, `right rib ${n}`],
  ]),
]);

const GROUPS: ReadonlyMap<string, readonly number[] | null> = new Map([
  ["everything", null],
  ["hepatic tumor", [1, 26]],
  ["hepatoma", [1, 26]],
  ["pancreatic tumor", [4, 24]],
  ["lung tumor", [20, 23, ...run(28, 32)]],
  ["bone lesion", [128]],
  ["organs", [...run(1, 5), 8, 9, 10, 14, ...run(22, 32), 57, 116, 117, 118, 121, 126, 132]],
  ["cardiovascular", [6, 7, 17, ...run(58, 61), ...run(108, 113), 115, 119, 123, 124, 125]],
  ["gastrointestinal", [11, 12, 13, 15, 19, 62]],
  ["skeleton", [21, ...run(33, 56), 120, 122, 127, 128, ...run(63, 97), 114]],
  ["muscles", run(98, 107)],
]);

/** Name of a class; null for an id that has none. */
export function vista3dName(id: number): string | null {
  return NAMES.get(id) ?? null;
}

/** Ids of a group, null for everything, undefined for a name that is no group. */
export function groupIds(group: string): readonly number[] | null | undefined {
  return GROUPS.get(group);
}
