// @ts-check
"use strict";

// Loaded in <head>, before anything is painted: the colours a person chose, else those of the system.
{
  const chosen = localStorage.getItem("h5s_theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
}
