//! UPDATE_AND_CREATE_SUBSCRIPTIONGROUP 200, DELETE_SUBSCRIPTIONGROUP 207,
//! GET_SUBSCRIPTIONGROUP_CONFIG 352 and GET_ALL_SUBSCRIPTIONGROUP_CONFIG 201. Run on the home shard;
//! a change is answered once it is durable.

use protocol::body::{Body, SubscriptionGroupConfig};
use protocol::code::response;
use protocol::header::{DeleteSubscriptionGroupHeader, GetSubscriptionGroupConfigHeader};

use crate::call::{Call, Handled, Next, Refusal};
use crate::core::Core;
use crate::home::Home;
use crate::mesh::TableChange;
use crate::tables::Table;

/// Creates a group or changes it.
pub fn update(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    if !call.durable {
        let group = SubscriptionGroupConfig::from_json(call.command.body)
            .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the group's JSON is damaged: {error}")))?;
        protocol::topic::check_group_name(&group.group_name)
            .map_err(|error| Refusal::new(response::SYSTEM_ERROR, format!("the group is refused: {error}")))?;
        tracing::info!(group = group.group_name, peer = %call.peer, "subscription group updated");
        let group = home.groups.put(core.now_ms, group);
        return Ok(Next::Park(home.change(Table::Groups, TableChange::Group(group))));
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// Deletes a group, and its progress if asked.
pub fn delete(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    if !call.durable {
        let header = DeleteSubscriptionGroupHeader::decode(&call.command.fields)?;
        tracing::info!(group = &*header.group_name, peer = %call.peer, "subscription group deleted");
        let was = home.groups.remove(core.now_ms, &header.group_name);
        if was || header.remove_offset {
            let change = TableChange::GroupRemoved {
                group: header.group_name.to_string(),
                remove_progress: header.remove_offset,
            };
            return Ok(Next::Park(home.change(Table::Groups, change)));
        }
    }
    core.reply(&call.to, response::SUCCESS, None, |_| {});
    Ok(Next::Done)
}

/// One group's configuration.
pub fn get(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let header = GetSubscriptionGroupConfigHeader::decode(&call.command.fields)?;
    let Some(group) = home.groups.get(&header.group) else {
        return Err(Refusal::new(
            response::SUBSCRIPTION_GROUP_NOT_EXIST,
            format!("No group in this broker. group: {}", header.group),
        ));
    };
    let body = group.to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}

/// Every group.
pub fn get_all(core: &mut Core, home: &mut Home, call: &Call<'_>) -> Handled {
    let body = home.groups.wrapper().to_json();
    core.reply_body(&call.to, response::SUCCESS, None, |_| {}, &body);
    Ok(Next::Done)
}
