// Package keychain finds the logins of registries: docker's and podman's first, then those of the clouds.
//
// [New] composes what is there. A login that somebody made (docker login, a credential helper in config.json, podman's
// auth.json) always counts before a cloud's. A cloud is asked for its own registries only, by the whole of their names, and
// for a bounded time: so a run elsewhere never waits for an instance metadata service that does not exist, and no token is
// shown to a host that only looks like a cloud's. A cloud that has no login for us leaves the request anonymous, which some
// of their repositories are content with; the reason is logged.
//
// # Why this way
//
// The protocols are the clouds' own libraries' business. They are kept out of rebuild/image because they weigh tens of seconds
// of compile time, and it works without them. The library for Azure looks for its hosts anywhere in a name
// ("x.azurecr.io.elsewhere.example"), and the ones for Amazon and Azure know no contexts: the names and the time are checked
// here, for all three.
//
// Public registries of the clouds (public.ecr.aws, mcr.microsoft.com) need no login and are asked without one.
package keychain
