// The panel of sources. Runs once, when it is there; what happens to its cards is the viewer's business.

watch("value", () => document.dispatchEvent(new Event("rag:sources")));
