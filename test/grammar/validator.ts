/** A validator that shares nothing with the rules: ajv. */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** A function that tells the problems of a value; empty when it validates. */
export function validatorOf(schema: object | boolean): (value: unknown) => string {
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true });
  (addFormats as unknown as (ajv: unknown) => void)(ajv);
  const validate = ajv.compile(schema);
  return (value) => (validate(value) ? "" : ajv.errorsText(validate.errors));
}
