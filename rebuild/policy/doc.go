// Package policy decides which updates are taken. It is pure: installed packages, the candidates of verified
// repositories and rules go in; updates, and a reason for each one that is held, come out.
//
// [Decide] means what "apt-get upgrade" does: the candidate of each installed package is chosen as apt chooses it
// (highest pin priority, then highest version), nothing is newly installed, nothing removed, and an update stays out
// if the packages would not fit together with it. On top of that come the rules of the user: how large an update may
// be, which packages, how old, security only.
//
// Some reasons show only once a package file is at hand (a maintainer script with unknown effects, a file that someone
// changed). They come back through [Input.Held]: the caller asks again until no new one turns up.
//
// # Guarantees
//
//   - Every installed package ends in exactly one place: it is in Updates, in Held, in Unmanaged, or nothing is on
//     offer that apt would take for an update. Nothing is dropped silently.
//   - Every requirement and conflict that the installed packages respected is respected by the result. What was broken
//     before (distroless images name dependencies that are not there) may stay broken and holds nothing back.
//   - The set of updates is the greatest: no further update could be added to it without breaking something. Where
//     two updates exclude each other the one with a security fix goes first, then the first by name.
//   - The result depends on the input's content alone. Its lists are sorted by package; asking again after the
//     updates are made gives none.
//   - Packages of one name and several architectures ("Multi-Arch: same") stay at one version.
//   - Essential packages need no rule of their own, as nothing is ever removed.
//
// # Why this way
//
// apt marks every update and then lets those go that break something, in an order of its own, which is enough for
// a person at a terminal and not for a result that has to be the same every night and explained in a line. So the
// relations between packages are turned into clauses over "package X is updated", and the largest solution is
// searched for directly. In a real distribution nearly everything follows without any search; the rare real conflict is
// small. The work is bounded all the same, and beyond the bound apt's own way is taken.
//
// A package whose best candidate is too large a step may still have a smaller one within the limit, 1.2.4 beside
// 2.0.0. Then the smaller one is an update, and [Update.Beyond] says what lies beyond it and why: the package is not
// listed as held, since "held" means that it did not move.
package policy
