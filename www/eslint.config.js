import js from "@eslint/js";
import globals from "globals";

const rules = {
  eqeqeq: "error",
  "no-implicit-globals": "off",
  "no-restricted-properties": [
    "error",
    { property: "innerHTML", message: "text goes in by textContent or append" },
    { property: "outerHTML", message: "text goes in by textContent or append" },
    { property: "insertAdjacentHTML", message: "text goes in by textContent or append" },
  ],
  "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
  "no-var": "error",
  "prefer-const": "error",
  "prefer-template": "error",
};

export default [
  js.configs.recommended,
  { rules },
  { files: ["**/js/**/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["**/js/h5splayer.js", "**/js/theme.js"], languageOptions: { sourceType: "script" } },
  {
    files: ["**/js/app/**/*.js"],
    languageOptions: {
      globals: { H5sPlayerWS: "readonly", H5sPlayerRTC: "readonly", H5sPlayerHls: "readonly" },
    },
  },
  {
    files: ["**/js/app/**/*.js"],
    ignores: ["**/js/app/api.js"],
    rules: { "no-restricted-globals": ["error", { name: "fetch", message: "use api.js" }] },
  },
  {
    files: ["**/eslint.config.js", "tests/**/*.js", "tests/**/*.mjs"],
    languageOptions: { globals: globals.node },
  },
];
