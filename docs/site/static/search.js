// From a folder, a browser lets no page read another one: results are then shown without a part of their text.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
