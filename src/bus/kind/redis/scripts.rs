//! What the server does in one step.

/// Takes over one event of a group that is due: one that was to come again by now, or else one that nobody has vouched
/// for. Keys: the stream, when what is due. Arguments: the group, who takes it, for how many milliseconds nobody
/// vouched. Answers its id, how often it was delivered with this time, and its fields; or nothing.
pub(super) const TAKE_DUE: &str = "
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 10)
    if #ids == 0 then
        for _, unheard in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', 10)) do
            if not redis.call('ZSCORE', KEYS[2], unheard[1]) then ids[#ids + 1] = unheard[1] end
        end
    end
    for _, id in ipairs(ids) do
        redis.call('ZREM', KEYS[2], id)
        local taken = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
        if taken[1] and pending[1] then return {id, pending[1][4], taken[1][2]} end
    end
    return false";

/// Has an event come again after a while. Keys: when what is due. Arguments: the event's id, and after how many
/// milliseconds.
pub(super) const RETRY: &str = "
    local clock = redis.call('TIME')
    redis.call('ZADD', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2], ARGV[1])
    return 1";

/// Gives back all that one has who goes, and forgets it. What is to come again later stays so. Keys: the stream, when
/// what is due. Arguments: the group, who goes.
pub(super) const LEAVE: &str = "
    while true do
        local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100, ARGV[2])
        if #held == 0 then break end
        for _, entry in ipairs(held) do
            redis.call('ZADD', KEYS[2], 'NX', 0, entry[1])
            redis.call('XCLAIM', KEYS[1], ARGV[1], 'nobody', 0, entry[1], 'JUSTID')
            -- One that is no longer kept is taken over by nobody.
            if #redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1, ARGV[2]) > 0 then
                redis.call('XACK', KEYS[1], ARGV[1], entry[1])
            end
        end
    end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1";
