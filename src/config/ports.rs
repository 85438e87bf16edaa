use crate::model::{Band, HostName, Ttl};
use crate::registry::pool::Rules;
use serde::{Deserialize, Serialize};

/// Which port numbers are leased, to whom and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ports {
    /// What leases call the machine that the registry runs on.
    pub host: String,
    /// Numbers to give out, each FROM-TO, or HOST=FROM-TO for one host alone.
    pub bands: Vec<String>,
    /// Numbers never to give out, each NUMBER or FROM-TO, or HOST=… for one host alone.
    pub reserved: Vec<String>,
    /// How long a lease lasts that does not say, in seconds: 1 or more.
    pub ttl_seconds: u32,
    /// The longest lifetime that a lease may ask for, in seconds: 1 or more.
    pub ttl_seconds_max: u32,
    /// How many leases one requester may hold; 0: as many as it likes.
    pub leases_per_requester_max: u32,
    /// How long a number is kept from others after its lease ended, in seconds.
    pub quarantine_seconds: u32,
    /// How long a number that turned out to be in use is kept from everybody, in seconds.
    pub conflict_quarantine_seconds: u32,
    /// Where to speak portserver: a path, @NAME, auto or off.
    pub portserver: String,
}

impl Default for Ports {
    fn default() -> Self {
        Ports {
            host: "localhost".to_owned(),
            bands: vec!["20000-29999".to_owned()],
            reserved: Vec::new(),
            ttl_seconds: 60 * 60,
            ttl_seconds_max: 30 * 24 * 60 * 60,
            leases_per_requester_max: 1_000,
            quarantine_seconds: 5,
            conflict_quarantine_seconds: 60,
            portserver: "auto".to_owned(),
        }
    }
}

impl Ports {
    /// The rules that these settings give; what is wrong with them, with the setting's name, where they cannot be.
    pub fn rules(&self) -> Result<Rules, (&'static str, String)> {
        let host = HostName::try_new(&self.host).map_err(|error| ("ports.host", format!("{:?} {error}", self.host)))?;
        let bands = read("ports.bands", &self.bands)?;
        if !bands.iter().any(|(named, _)| named.is_none() || named.as_ref() == Some(&host)) {
            return Err(("ports.bands", format!("has no numbers for {host}: add some, such as 20000-29999")));
        }
        for (at, (host, band)) in bands.iter().enumerate() {
            if bands[..at].iter().any(|(other, earlier)| other == host && earlier.overlaps(*band)) {
                return Err(("ports.bands", format!("{band} overlaps another: number each once")));
            }
        }
        Ok(Rules {
            host,
            bands,
            ttl: Ttl::from_seconds(self.ttl_seconds)
                .ok_or(("ports.ttl_seconds", "is 0; it is 1 or more".to_owned()))?,
            reserved: read("ports.reserved", &self.reserved)?,
            leases_per_requester_max: self.leases_per_requester_max,
            quarantine_seconds: self.quarantine_seconds,
            conflict_quarantine_seconds: self.conflict_quarantine_seconds,
        })
    }
}

type Numbered = Vec<(Option<HostName>, Band)>;

fn read(setting: &'static str, texts: &[String]) -> Result<Numbered, (&'static str, String)> {
    let one = |text: &String| {
        let wrong = |error: &dyn std::fmt::Display| (setting, format!("{text:?} {error}"));
        let (host, band) = match text.split_once('=') {
            Some((host, band)) => (Some(HostName::try_new(host.trim()).map_err(|error| wrong(&error))?), band),
            None => (None, text.as_str()),
        };
        Ok((host, band.trim().parse().map_err(|error: crate::model::InvalidBand| wrong(&error))?))
    };
    texts.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_of_one_host_or_of_all() {
        let ports = Ports {
            bands: vec!["20000-29999".into(), "build-2=30000-30999".into()],
            reserved: vec!["22000".into()],
            ..Ports::default()
        };
        let rules = ports.rules().unwrap();
        let (here, there) = (HostName::try_new("localhost").unwrap(), HostName::try_new("build-2").unwrap());
        assert_eq!(rules.bands(&here).map(|band| band.to_string()).collect::<Vec<_>>(), ["20000-29999"]);
        assert_eq!(rules.bands(&there).map(|band| band.to_string()).collect::<Vec<_>>(), ["30000-30999"]);
        assert!(rules.reserved(&there).any(|band| band.contains(22_000)));
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let wrong = |bands: &[&str]| {
            let bands = bands.iter().map(|band| (*band).to_owned()).collect();
            Ports { bands, ..Ports::default() }.rules().unwrap_err().0
        };
        assert_eq!(wrong(&["0-5"]), "ports.bands");
        assert_eq!(wrong(&["elsewhere=1-5"]), "ports.bands");
        assert_eq!(wrong(&["1-5", "5-9"]), "ports.bands");
        assert_eq!(Ports { host: "a b".into(), ..Ports::default() }.rules().unwrap_err().0, "ports.host");
    }
}
