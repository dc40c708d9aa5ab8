// Package version orders package versions and says how large a step from one to another is. It is pure: no
// input, no state.
//
// A [Scheme] is one package manager's idea of versions; [Deb] is dpkg's, [Apk] is apk's. The [Level] of an update is judged on the
// upstream version, so that a fix that the distribution backported (a new Debian revision) is told from a new release
// of the software.
//
// # Guarantees
//
//   - Deb.Compare orders all valid versions exactly as "dpkg --compare-versions" does. It is a total order on them.
//     Apk.Compare agrees with every line of apk's own test vectors.
//   - What is no version by deb-version(7) is an [InvalidError], never a guess.
//   - Level never errs on the small side for a version that it cannot read: that is [Major].
//
// # Why this way
//
// The ordering itself is pault.ag/go/debian/version, which follows dpkg's verrevcmp; its parser accepts a few
// strings that dpkg refuses (an empty revision, an epoch beyond a C int), which Deb checks on top. The order is kept
// honest by data: testdata/deb.txt holds lines such as "1.0~rc1 < 1.0", generated with the real dpkg.
//
// Semantic versioning is not assumed, as most of a distribution does not follow it; "what counts as a patch update" is
// a rule of thumb with its exceptions written down, see [Deb].
package version
