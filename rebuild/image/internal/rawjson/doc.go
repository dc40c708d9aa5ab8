// Package rawjson changes single values inside a JSON text and leaves every other byte as it was: order of keys,
// white space, escapes, numbers and members that nobody here has heard of.
//
// # Guarantees
//
// A text that is not edited comes back identical. An edit touches the named value, and the comma beside it where a
// member or element comes or goes. A new member or element repeats the white space of its neighbour, so that an
// indented document stays indented.
//
// # Why this way
//
// Manifests, configs and indexes are addressed by the digest of their bytes. Decoding one into a Go struct and encoding
// it again drops what the struct does not name and reorders the rest, which changes more than was asked for. A tree of
// the whole document would cost memory in proportion to a hostile input, so each operation walks the text instead and
// remembers offsets only.
//
// An object that holds the wanted key twice, also in another case, is refused: encoding/json would pick one, another
// reader another.
package rawjson
