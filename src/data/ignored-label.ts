/** Label of a token that asks for no prediction. Source: VILA llava/constants.py `IGNORE_INDEX`. */
export const IGNORED_LABEL = -100;
