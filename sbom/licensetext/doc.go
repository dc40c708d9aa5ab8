// Package licensetext finds the licenses that a text holds.
//
// A [Scanner] is made of licenses such as [licensecheck.BuiltinLicenses] returns: each with a license regular expression, a URL that
// names it, or both. [Scanner.Scan] tells where they are in a text and how much of it they cover. The syntax and the meaning of
// license regular expressions are those of licensecheck's documentation, https://pkg.go.dev/github.com/google/licensecheck: words,
// whatever their case and the punctuation between them; __N__ for up to N words; (( || )) for alternatives; (( ))?? for what may be
// absent.
//
// # Guarantees
//
// What Scan finds is what licensecheck's own scanner finds, to the byte: the spelling that it corrects is corrected, the markup that it
// skips is skipped, and what is in its code but not in its documentation holds here too. Tests hold one against the other, about
// licensecheck's own texts, those of the machine's Debian packages, texts that are made from the expressions and then damaged, and
// expressions made at random. Four differences are known. Where licensecheck finds the same match forever, which takes a license of
// three words or less, this package goes on behind it (see find.go). Licenses without any expression are an error of New, where
// licensecheck accepts them and panics at the first text; so are wildcards of more than 65,536 words. Of a text of 2 GiB or more,
// whose bytes licensecheck cannot number, the first 2 GiB are looked at.
//
// Scanners are safe for concurrent use. Texts may be hostile: to split one into words takes time linear in its size, also where
// it takes licensecheck quadratic time (as with nothing but "{#"). From each place where a license may begin, no more words are
// looked at than the longest license has, as in licensecheck. What a scanner keeps of the texts that it has seen is bounded, at
// about 128 MiB, beyond which it begins anew. A text that is made to come there again and again pays for making states at each word, a
// microsecond or two, and for making the programs of automata anew: one with all states of all licenses, some 200 MiB, takes a quarter
// longer than licensecheck. A scan itself takes twelve bytes for each word.
//
// # Why this way
//
// Licensecheck's scanner first builds the complete automaton of all licenses: some 600,000 states and 330 MB allocated for its builtin
// ones, in every process that asks about a single text. Few texts come to more than some thousand of these states. This package makes a
// state when a text comes to it. That leaves New to read the expressions: on one machine 51 ms and 6 MB, where licensecheck took 2.3 s
// (0.7 to 0.8 s on a faster one). There 18 MB of copyright files took 0.36 s to scan, 0.39 s where every state was new, and licensecheck,
// which copies words, 0.93 s. The benchmarks measure both again.
//
// It can be done in parts because a match begins with two words that are exactly as in a license (after another match there are
// exceptions: see find.go). Each such pair has an automaton of its own, of the licenses that begin with it, and gets it when a text has
// the pair. Of licensecheck's builtin licenses there are 361 pairs. All words are numbered at the start, however: licensecheck tries to
// correct a misspelled word in the order in which words first appear in the licenses, so that decides what it finds.
//
// Words are corrected only where they lead nowhere, and only to words that lead on. So each state has to have the words here that it
// has in the complete automaton. It has, since these depend on nothing but the places in licenses that the state stands for, and two
// words in, those are all in licenses of the pair.
//
// There would have been other ways. Licensecheck's automaton kept in a file would be 10 MB to read and to check, and its package
// gives it to nobody. To match each license by itself would take longer with each license. One automaton of fewer licenses would find
// other things, since a word is corrected to what any license expects.
package licensetext
