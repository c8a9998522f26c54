//! Reading JSON the way fastjson 1.2.69 does: for bodies and table files written by Java.
//!
//! Besides standard JSON it takes bare integer keys, single quotes, names without quotes, trailing commas, and objects
//! in the place of keys (a map keyed by a message queue; the key becomes that object's compact standard JSON).
//! References to objects written before (`{"$ref":"$.a.b[0]"}`) are followed. Bounded in depth and size; any core.
