/** The little of a browser that modules ask for when they are loaded. */
const nothing = () => undefined;

Object.assign(globalThis, {
  document: { documentElement: { dataset: {} }, addEventListener: nothing },
  location: { hash: "" },
  addEventListener: nothing,
});
// Newer versions of Node have a navigator that cannot be replaced by assignment.
Object.defineProperty(globalThis, "navigator", { value: { language: "en-US" }, configurable: true });
