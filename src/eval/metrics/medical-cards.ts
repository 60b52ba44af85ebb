/** The expert models that a medical model is told of, in front of the picture. Source: VILA-M3 `model_cards.py` at fc8c5a7. Wording is fixed. */

interface ExpertCard {
  readonly name: string;
  readonly modality: string;
  readonly task: string;
  readonly overview: string;
  readonly accuracy: string;
  readonly validArgs: string;
}

const CARDS: readonly ExpertCard[] = [
  {
    name: "BRATS",
    modality: "MRI",
    task: "segmentation",
    overview:
      "A pre-trained model for volumetric (3D) segmentation of brain tumor subregions from multimodal MRIs based on BraTS 2018 data",
    accuracy: "Tumor core (TC): 0.8559 - Whole tumor (WT): 0.9026 - Enhancing tumor (ET): 0.7905 - Average: 0.8518",
    validArgs: "None",
  },
  {
    name: "VISTA3D",
    modality: "CT",
    task: "segmentation",
    overview:
      "domain-specialized interactive foundation model developed for segmenting and annotating human anatomies with precision",
    accuracy: "127 organs: 0.792 Dice on average",
    validArgs:
      "'everything', 'hepatic tumor', 'pancreatic tumor', 'lung tumor', 'bone lesion', 'organs', 'cardiovascular', 'gastrointestinal', 'skeleton', or 'muscles'",
  },
  {
    name: "VISTA2D",
    modality: "cell imaging",
    task: "segmentation",
    overview:
      "model for cell segmentation, which was trained on a variety of cell imaging outputs, including brightfield, phase-contrast, fluorescence, confocal, or electron microscopy",
    accuracy: "Good accuracy across several cell imaging datasets",
    validArgs: "None",
  },
  {
    name: "CXR",
    modality: "chest x-ray (CXR)",
    task: "classification",
    overview: "pre-trained model which are trained on large cohorts of data",
    accuracy: "Good accuracy across several diverse chest x-rays datasets",
    validArgs: "None",
  },
];

/** Goes into the user's turn before the picture. */
export function expertCards(): string {
  const lines = CARDS.map(
    ({ name, modality, task, overview, accuracy, validArgs }) =>
      `<${name}(args)> Modality: ${modality}, Task: ${task}, Overview: ${overview}, Accuracy: ${accuracy}, Valid args are: ${validArgs}\n`,
  );
  return `Here is a list of available expert models:\n${lines.join("")}Give the model <NAME(args)> when selecting a suitable expert model.\n`;
}

/** First prompt about one picture; the mark is put in unless the user's text has one. */
export function firstMedicalPrompt(userPrompt: string, modality: string): string {
  const mark = userPrompt.includes("<image>") ? "" : "<image>";
  const sentence = modality === "Unknown" ? "" : `This is a ${modality} image.\n`;
  return `${expertCards()}${mark}${sentence}${userPrompt}`;
}
