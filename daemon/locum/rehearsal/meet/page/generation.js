// Which of the two looks the page has. Both offer the same functions.

import { config } from "./dom.js";
import * as first from "./generation1.js";
import * as second from "./generation2.js";

export const generation = config.generation === 2 ? second : first;
